// SPDX-License-Identifier: Apache-2.0
// Cleaning: each repair, filter and mask by itself; whole runs over every kind of input; and that
// interruptions and threads do not show.
#include "runtime/data/Clean.h"
#include "runtime/data/ByteSource.h"
#include "runtime/data/CleanText.h"
#include "runtime/data/Filters.h"
#include "runtime/data/FoldAscii.h"
#include "runtime/data/OrderedPipeline.h"
#include "runtime/data/PersonalData.h"
#include "runtime/data/TextSource.h"
#include "runtime/data/WordList.h"
#include "test/TemporaryFolder.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <map>
#include <random>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

namespace sinter::data {
namespace {

namespace fs = std::filesystem;

std::string cleaned(std::string_view text) {
  TextCleaner cleaner;
  CleanCounts counts;
  return std::string(cleaner.clean(text, counts));
}

TEST(CleanText, makesTextRegularAndCountsWhatItDid) {
  EXPECT_EQ(cleaned("a\r\nb\rc\vd"), "a\nb\nc\nd");
  EXPECT_EQ(cleaned("\xEF\xBB\xBFtext \x01\x7Fhere\tand"), "text here\tand");
  EXPECT_EQ(cleaned("zero\xE2\x80\x8Bwidth soft\xC2\xADhyphen no\xC2\xA0"
                    "break"),
            "zerowidth softhyphen no break");
  EXPECT_EQ(cleaned("e\xCC\x81"), "\xC3\xA9"); // NFC
  EXPECT_EQ(cleaned("bad \xFF and \xE4\xBD"), "bad \xEF\xBF\xBD and \xEF\xBF\xBD");
  EXPECT_EQ(cleaned("\n\n  a  \n\n\n\nb\t\n\n"), "  a\n\nb");
  // A joiner stays between emoji and goes between ASCII letters.
  EXPECT_EQ(cleaned("\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA9 a\xE2\x80\x8D"
                    "b"),
            "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA9 ab");
  TextCleaner cleaner;
  CleanCounts counts;
  cleaner.clean("a\r\nb\x01\xE2\x80\x8B\xFF"
                "e\xCC\x81",
                counts);
  EXPECT_EQ(counts.lineEndings, 1u);
  EXPECT_EQ(counts.controls, 1u);
  EXPECT_EQ(counts.invisible, 1u);
  EXPECT_EQ(counts.repaired, 1u);
  EXPECT_EQ(counts.composed, 1u);
}

std::string masked(std::string_view text) {
  std::string out;
  PersonalCounts counts;
  return maskPersonalData(text, 15, out, counts) ? out : std::string(text);
}

TEST(PersonalData, masksWhatItKnowsAndNothingElse) {
  EXPECT_EQ(masked("write to ann.lee+x@example.co.uk."), "write to <email>.");
  EXPECT_EQ(masked("call +49 30 1234567 or (212) 555-0123 or 13812345678"),
            "call <phone> or <phone> or <phone>");
  EXPECT_EQ(masked("card 4111 1111 1111 1111, not 4111 1111 1111 1112"),
            "card <card>, not 4111 1111 1111 1112");
  EXPECT_EQ(masked("key AKIAIOSFODNN7EXAMPLE and ghp_0123456789abcdefghijABCDEFGHIJ456789"),
            "key <key> and <key>");
  EXPECT_EQ(masked("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nrest"),
            "<key>\nrest");
  for (const char *same : {"a @ b", "x@y", "in 1969, 384400 km", "3.14159265358979", "version 1.2.3.4",
                           "skip-this-one", "2024-01-02 03:04", "12345678901"})
    EXPECT_EQ(masked(same), same);
}

TEST(WordList, findsPhrasesAtWordsOnlyAndChineseAnywhere) {
  WordList list({"bad", "very bad thing", "\xE5\x9D\x8F"});
  EXPECT_GE(list.find("so BAD."), 0);
  EXPECT_LT(list.find("badly forbad"), 0);
  EXPECT_GE(list.find("\xE5\xBE\x88\xE5\x9D\x8F\xE7\x9A\x84"), 0);
  EXPECT_LT(list.find(""), 0);
}

TEST(WordList, jumpsOverNothingThatOneStepAtATimeFinds) {
  std::mt19937 random(7);
  for (int trial = 0; trial < 3000; ++trial) {
    auto letters = [&](size_t size) {
      std::string text;
      for (size_t i = 0; i < size; ++i)
        text += "abAB \xE5\x9D\x8F"[random() % 8];
      return text;
    };
    std::vector<std::string> phrases;
    for (size_t i = 0; i <= random() % 3; ++i)
      phrases.push_back(letters(4 + random() % 5));
    std::string text = letters(random() % 200);
    auto lower = [](std::string s) {
      for (char &c : s)
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      return s;
    };
    auto isWord = [](char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; };
    bool expected = false;
    for (const std::string &phrase : phrases)
      for (size_t at = 0; at + phrase.size() <= text.size(); ++at) {
        size_t end = at + phrase.size();
        bool cut = at > 0 && isWord(phrase.front()) && isWord(text[at - 1]);
        cut = cut || (end < text.size() && isWord(phrase.back()) && isWord(text[end]));
        expected = expected || (!cut && lower(text).compare(at, phrase.size(), lower(phrase)) == 0);
      }
    EXPECT_EQ(WordList(phrases).find(text) >= 0, expected) << trial;
  }
}

TEST(FoldAscii, isTheSameEightBytesAtATime) {
  std::mt19937 random(8);
  for (size_t size = 0; size < 300; ++size) {
    std::string text(size, '\0'), expected;
    for (char &c : text) {
      c = static_cast<char>(random() % 3 ? random() % 256 : " \n\tAZaz@[`{"[random() % 11]);
      if (c != ' ' && c != '\n' && c != '\t')
        expected += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    std::string folded(size + foldSlack, '\0');
    folded.resize(foldAscii(text, folded.data()));
    EXPECT_EQ(folded, expected);
  }
}

TEST(Language, isFoundByScriptAndByFrequentWords) {
  EXPECT_EQ(detectLanguage("The cat sat on the mat and it was of the opinion that all is well."), "en");
  EXPECT_EQ(detectLanguage("Der Hund und die Katze sind nicht mit von der Partie, das ist ein Jammer."),
            "de");
  EXPECT_EQ(detectLanguage("\xE4\xBB\x8A\xE5\xA4\xA9\xE5\xA4\xA9\xE6\xB0\x94\xE5\xBE\x88\xE5\xA5\xBD"), "zh");
  EXPECT_EQ(detectLanguage("\xE3\x81\x93\xE3\x82\x8C\xE3\x81\xAF\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E"), "ja");
  EXPECT_EQ(detectLanguage("\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82"), "ru");
  EXPECT_EQ(detectLanguage("123 456"), "und");
}

/// Prose that passes every filter: sentences of random words, a paragraph each few; `seed` makes it
/// different.
std::string prose(unsigned seed, int sentences = 12) {
  const std::vector<std::string> words = {"river",   "stone",    "garden", "walked", "morning", "quiet",
                                          "letter",  "window",   "sister", "bright", "under",   "mountain",
                                          "carried", "little",   "bread",  "silver", "answer",  "winter",
                                          "story",   "remember", "bridge", "listen"};
  std::mt19937 random(seed);
  std::string text;
  for (int s = 0; s < sentences; ++s) {
    text += "The";
    for (int w = 0; w < 10; ++w)
      text += " " + words[random() % words.size()] + (w == 4 ? " and" : w == 7 ? " of" : "");
    text += s % 4 == 3 ? ".\n" : ". ";
  }
  return text;
}

std::string droppedBy(std::string_view text) {
  Measurer measurer;
  const Measures &measures = measurer.measure(text);
  std::string names;
  for (const Filter &filter : filters())
    if (filter.matches(measures, text))
      names += (names.empty() ? "" : " ") + std::string(filter.name);
  return names;
}

TEST(Filters, letProseThroughAndNameWhatTheyDrop) {
  EXPECT_EQ(droppedBy(prose(1)), "");
  EXPECT_NE(droppedBy("Too short. One. Two. Three. The of and.").find("gopher-length"), std::string::npos);
  std::string repeated;
  for (int i = 0; i < 30; ++i)
    repeated += "The same line comes of and over again, every time.\n";
  EXPECT_NE(droppedBy(repeated).find("gopher-duplicate-lines"), std::string::npos);
  EXPECT_NE(droppedBy(repeated).find("gopher-repetition"), std::string::npos);
  EXPECT_NE(droppedBy(repeated).find("fineweb-duplicate-lines"), std::string::npos);
  EXPECT_NE(droppedBy(prose(2) + "Lorem ipsum dolor.").find("c4-lorem-ipsum"), std::string::npos);
  EXPECT_NE(droppedBy(prose(2) + "if (x) { y }.").find("c4-curly-bracket"), std::string::npos);
  std::string menu;
  for (int i = 0; i < 60; ++i)
    menu += "Item " + std::to_string(i) + "\n";
  EXPECT_NE(droppedBy(menu).find("fineweb-short-lines"), std::string::npos);
  EXPECT_NE(droppedBy(menu).find("fineweb-punctuation"), std::string::npos);
  EXPECT_NE(droppedBy(menu).find("gopher-alphabetic"), std::string::npos);
}

TEST(Filters, measureChineseByCharacters) {
  // 100 different sentences' worth of characters, no spaces: words must not be counted by white space.
  std::string text;
  std::mt19937 random(3);
  for (int s = 0; s < 20; ++s) {
    for (int c = 0; c < 18; ++c) {
      uint32_t code = 0x4E00 + random() % 3000;
      text += {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 63)),
               static_cast<char>(0x80 | (code & 63))};
      if (c == 5)
        text += s % 2 ? "\xE7\x9A\x84" : "\xE4\xBA\x86"; // function words
    }
    text += "\xE3\x80\x82\n";
  }
  Measurer measurer;
  const Measures &measures = measurer.measure(text);
  EXPECT_TRUE(measures.ideographic);
  EXPECT_EQ(measures.units, 380u);
  EXPECT_EQ(measures.sentences, 20u);
  EXPECT_EQ(droppedBy(text), "");
}

TEST(TextSource, tellsEncodingsByTheirBytes) {
  std::string gb;
  for (int i = 0; i < 20; ++i)
    gb += "\xC4\xE3\xBA\xC3\xCA\xC0\xBD\xE7\xA1\xA3"; // "hello world" in GB18030
  EXPECT_EQ(detectEncoding(gb), Encoding::Gb18030);
  EXPECT_EQ(detectEncoding("caf\xC3\xA9"), Encoding::Utf8);
  EXPECT_EQ(detectEncoding("caf\xE9 au lait, tr\xE8s bien"), Encoding::Utf8); // ill-formed, but no GB18030
  EXPECT_EQ(detectEncoding(std::string("a\0b", 3)), Encoding::Binary);
  EXPECT_EQ(detectEncoding("\xFF\xFE"
                           "a"),
            Encoding::Utf16Le);
  TemporaryFolder folder;
  auto source = openText(folder.write("gb.txt", gb));
  ASSERT_TRUE(source) << source.error().message;
  std::string text(1000, '\0');
  text.resize(*source->bytes->read(text));
  EXPECT_EQ(text.substr(0, 15), "\xE4\xBD\xA0\xE5\xA5\xBD\xE4\xB8\x96\xE7\x95\x8C\xE3\x80\x82");
}

std::string gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef *>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string line(std::string_view id, std::string_view text) {
  std::string out = "{\"id\":";
  appendJsonString(out, id);
  out += ",\"text\":";
  appendJsonString(out, text);
  return out + "}\n";
}

CleanOptions optionsFor(const std::vector<std::string> &names, const std::string &output) {
  CleanOptions options;
  auto inputs = findInputs(names);
  EXPECT_TRUE(inputs) << inputs.error().message;
  if (inputs)
    options.inputs = *inputs;
  options.output = output;
  options.filters = ~uint64_t(0);
  options.threads = 2;
  return options;
}

/// All lines of the shards of a part, unpacked.
std::string shards(const std::string &folder, std::string_view part) {
  std::string all;
  for (int i = 0;; ++i) {
    std::string path = fmt::format("{}/{}-{:05}.jsonl.zst", folder, part, i);
    if (!fs::exists(path))
      return all;
    auto source = openBytes(path);
    EXPECT_TRUE(source);
    std::string text(8 << 20, '\0');
    text.resize(*(*source)->read(text));
    all += text;
  }
}

std::map<std::string, std::string> filesOf(const std::string &folder) {
  std::map<std::string, std::string> files;
  for (const auto &entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) {
      std::ostringstream content;
      content << std::ifstream(entry.path(), std::ios::binary).rdbuf();
      files[fs::relative(entry.path(), folder).string()] = content.str();
    }
  return files;
}

TEST(Clean, readsEveryKindOfInputAndKeepsEachDocumentOnce) {
  TemporaryFolder folder;
  fs::create_directories(folder.path("in/deep"));
  folder.write("in/a.txt", prose(10));
  folder.write("in/deep/b.md.gz", gzip(prose(11)) + gzip("The end of the second member and of all.\n"));
  folder.write("in/c.jsonl.zst",
               compressZstd(line("c1", prose(12)), 3) + compressZstd(line("c2", prose(10)), 3));
  folder.write("in/d.jsonl", "{\"messages\":[{\"role\":\"user\",\"content\":\"" +
                                 prose(13, 3).substr(0, 100) +
                                 "\"},{\"role\":\"assistant\",\"content\":\"The answer. And of. One. Two. " +
                                 prose(14, 8).substr(0, 250) + "\"}]}\n{\"other\":1}\n");
  std::string body = prose(15);
  folder.write("in/e.wet",
               "WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 4\r\n\r\ninfo\r\n\r\n"
               "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://x.test/\r\nContent-Length: " +
                   std::to_string(body.size()) + "\r\n\r\n" + body + "\r\n\r\n");
  folder.write("in/ignored.bin", "x");
  folder.write("in/zero.txt", std::string("a\0b", 3));
  auto options = optionsFor({folder.path("in")}, folder.path("out"));
  auto tally = cleanData(options);
  ASSERT_TRUE(tally) << tally.error().message;
  std::string out = shards(folder.path("out"), "train");
  EXPECT_EQ(std::ranges::count(out, '\n'), 5) << out; // c2 equals a.txt
  EXPECT_EQ((*tally)["duplicates equal"], 1u);
  EXPECT_EQ((*tally)["bad lines"], 1u);
  EXPECT_EQ((*tally)["notes"], 1u); // zero.txt
  EXPECT_NE(out.find("\"id\":\"http://x.test/\""), std::string::npos);
  EXPECT_NE(out.find("assistant: The answer"), std::string::npos);
  EXPECT_NE(out.find("second member"), std::string::npos);
  EXPECT_TRUE(fs::exists(folder.path("out/report.html")));
  EXPECT_FALSE(fs::exists(folder.path("out/.work")));
  auto report = Json::read(folder.path("out/report.json"));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(*report->root()["out"].get<int64_t>("documents"), 5);
}

TEST(Clean, dropsNearDuplicatesAndRecordsWhatStaysInTheirPlace) {
  TemporaryFolder folder;
  std::string lines;
  for (unsigned i = 0; i < 40; ++i)
    lines += line(fmt::format("d{}", i), prose(100 + i, 20));
  for (unsigned i = 0; i < 40; i += 2) { // a word more at the end: similarity about 0.98
    lines += line(fmt::format("n{}", i), prose(100 + i, 20) + " Extra.");
    lines += line(fmt::format("e{}", i), prose(100 + i, 20) + "\n");
  }
  auto options = optionsFor({folder.write("a.jsonl", lines)}, folder.path("out"));
  auto tally = cleanData(options);
  ASSERT_TRUE(tally) << tally.error().message;
  EXPECT_EQ((*tally)["duplicates near"], 20u);
  EXPECT_EQ((*tally)["duplicates equal"], 20u);
  EXPECT_EQ((*tally)["out train documents"], 40u);
  std::string duplicates(1 << 20, '\0');
  auto source = openBytes(folder.path("out/duplicates.jsonl.zst"));
  ASSERT_TRUE(source);
  duplicates.resize(*(*source)->read(duplicates));
  EXPECT_EQ(std::ranges::count(duplicates, '\n'), 40);
  EXPECT_NE(duplicates.find(R"("id":"n4","source":")" + folder.path("a.jsonl") +
                            R"(","kept":"d4","similarity":0.9)"),
            std::string::npos)
      << duplicates;

  // A second run that knows the first one's output drops all of it.
  auto again = optionsFor({folder.write("b.jsonl", lines + line("new", prose(999)))}, folder.path("out2"));
  again.known = *findInputs({folder.path("out")});
  auto second = cleanData(again);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ((*second)["out train documents"], 1u);
}

/// About 20 batches, several segments, with duplicates and documents that filters drop.
std::string corpus(const TemporaryFolder &folder) {
  std::string lines;
  for (unsigned i = 0; i < 6000; ++i)
    lines += line(fmt::format("d{}", i),
                  i % 50 == 7 ? "short" : prose(i % 5000, 24 + i % 9) + (i % 2 ? "" : " Mail a@b.org."));
  return folder.write("corpus.jsonl", lines);
}

TEST(Clean, resultDoesNotDependOnThreadsOrInterruptions) {
  TemporaryFolder folder;
  std::string path = corpus(folder);
  auto run = [&](const std::string &name, unsigned threads) {
    auto options = optionsFor({path}, folder.path(name));
    options.threads = threads;
    options.mask = 1;
    options.validation = 0.1;
    options.shardBytes = 2 << 20;
    return options;
  };
  auto first = cleanData(run("one", 1));
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_TRUE(cleanData(run("three", 3)));
  auto expected = filesOf(folder.path("one"));
  EXPECT_GE(expected.size(), 6u); // several shards
  EXPECT_GT((*first)["out val documents"], 300u);
  EXPECT_EQ(filesOf(folder.path("three")), expected);

  // Killed at any moment: a child that dies inside of a call of `progress`, again and again, gets there.
  for (int kill : {1, 3, 7, 30}) {
    std::string name = fmt::format("killed{}", kill);
    for (int attempt = 0; attempt < 3; ++attempt) {
      pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        auto options = run(name, 1);
        int calls = 0;
        options.progress = [&](std::string_view, uint64_t, uint64_t) {
          if (++calls > kill * (attempt + 1))
            ::_exit(9);
        };
        ::_exit(cleanData(options) ? 0 : 1);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      ASSERT_NE(WEXITSTATUS(status), 1);
      if (WEXITSTATUS(status) == 0)
        break;
    }
    if (fs::exists(folder.path(name + "/.work"))) {
      folder.write(name + "/.train-00000.jsonl.zst.tmp-a1B2c3", "what a killed process was writing");
      auto rest = cleanData(run(name, 2));
      ASSERT_TRUE(rest) << rest.error().message;
    }
    EXPECT_EQ(filesOf(folder.path(name)), expected) << name;
  }
}

std::string errorOf(const CleanOptions &options) {
  auto tally = cleanData(options);
  return tally ? "no error" : tally.error().message;
}

TEST(Clean, saysWhatIsWrongAndLeavesNothingHalfWritten) {
  TemporaryFolder folder;
  std::string good = folder.write("good.txt", prose(1));
  EXPECT_EQ(errorOf(optionsFor({folder.write("empty.txt", "")}, folder.path("a"))),
            "expected documents, found none in 1 inputs");
  EXPECT_FALSE(fs::exists(folder.path("a")));
  EXPECT_NE(errorOf(optionsFor({folder.write("zero.txt", std::string("a\0b", 3))}, folder.path("b")))
                .find("expected text, found binary data"),
            std::string::npos);
  std::string packed = gzip(prose(2));
  EXPECT_NE(errorOf(optionsFor({folder.write("cut.txt.gz", packed.substr(0, packed.size() - 20))},
                               folder.path("c")))
                .find("expected a complete gzip member"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(folder.path("c")))
      << "nothing was finished: the same folder serves when the file is mended";
  folder.write("taken.txt", "");
  fs::create_directories(folder.path("full"));
  folder.write("full/file", "x");
  EXPECT_NE(errorOf(optionsFor({good}, folder.path("full"))).find("expected a new or empty folder"),
            std::string::npos);
  EXPECT_EQ(folder.read("full/file"), "x");
  EXPECT_NE(errorOf(optionsFor({folder.write("a.wet", "WARC/1.0\r\nWARC-Type: conversion\r\n\r\n")},
                               folder.path("d")))
                .find("expected 'Content-Length:'"),
            std::string::npos);
  EXPECT_FALSE(findInputs({folder.path("missing.txt")}));
  EXPECT_FALSE(findInputs({folder.path("*.nothing")}));
  EXPECT_FALSE(findInputs({}));
}

TEST(Clean, refusesToGoOnWithOtherOptions) {
  TemporaryFolder folder;
  auto options = optionsFor({folder.write("good.txt", prose(1))}, folder.path("out"));
  fs::create_directories(folder.path("out/.work")); // as another run left it when it was killed
  folder.write("out/.work/settings.json", "{\"version\":1}");
  EXPECT_NE(errorOf(options).find("expected the inputs and options of the run that began here"),
            std::string::npos);
}

TEST(Clean, takesAnotherListOfWordsUnderTheSameNameForOtherOptions) {
  EXPECT_NE(WordList({"bad"}).fingerprint(), WordList({"worse"}).fingerprint());
  EXPECT_EQ(WordList({"bad"}).fingerprint(), WordList({"BAD"}).fingerprint()); // which finds the same
  TemporaryFolder folder;
  auto options = optionsFor({folder.write("good.txt", prose(1))}, folder.path("out"));
  options.words = WordList({"bad"});
  options.progress = [](std::string_view, uint64_t, uint64_t) { ::_exit(9); };
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    (void)cleanData(options);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(WEXITSTATUS(status), 9);
  options.progress = nullptr;
  options.words = WordList({"worse"});
  EXPECT_NE(errorOf(options).find("expected the inputs and options of the run that began here"),
            std::string::npos);
  options.words = WordList({"bad"});
  EXPECT_TRUE(cleanData(options));
}

TEST(OrderedPipeline, readsNoMoreBytesAtOnceThanItMay) {
  constexpr size_t size = 40, most = 100;
  std::atomic<size_t> inFlight = 0, peak = 0;
  int number = 0, written = 0;
  const Result<> done = orderedPipeline(
      16, most, [](const int &) { return size; },
      [&]() -> Result<std::optional<int>> {
        if (number == 500)
          return std::optional<int>();
        peak = std::max<size_t>(peak, inFlight += size);
        return std::optional(number++);
      },
      [](int item, unsigned) { return Result<int>(item); },
      [&](int item) -> Result<> {
        EXPECT_EQ(item, written++);
        inFlight -= size;
        return {};
      });
  EXPECT_TRUE(done);
  EXPECT_EQ(written, 500);
  EXPECT_LE(peak, most + size);
}

TEST(Clean, refusesAFolderWhereTheSettingsOfARunShouldBe) {
  TemporaryFolder folder;
  const auto options = optionsFor({folder.write("good.txt", prose(1))}, folder.path("out"));
  std::filesystem::create_directories(folder.path("out/.work/settings.json"));
  EXPECT_NE(
      errorOf(options).find("settings.json: expected the inputs and options of the run that began here"),
      std::string::npos)
      << errorOf(options);
}

TEST(Clean, cutsOneGiantLineAndKeepsAllOfIt) {
  TemporaryFolder folder;
  std::string text;
  while (text.size() < (9u << 20))
    text += prose(static_cast<unsigned>(text.size()), 50);
  std::ranges::replace(text, '\n', ' ');
  auto options = optionsFor({folder.write("line.txt", text)}, folder.path("out"));
  options.filters = 0;
  auto tally = cleanData(options);
  ASSERT_TRUE(tally) << tally.error().message;
  EXPECT_EQ((*tally)["in documents"], 2u);
  EXPECT_NEAR(static_cast<double>((*tally)["out train bytes"]), static_cast<double>(text.size()), 4);
}

} // namespace
} // namespace sinter::data
