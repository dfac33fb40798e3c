// SPDX-License-Identifier: Apache-2.0
// Filters of lists and dictionaries. What is a generator in Python is an iterator here: it can be walked, and
// has no length.
#include "runtime/chat/Filters.h"
#include "runtime/chat/Text.h"
#include <algorithm>
#include <fmt/format.h>

namespace sinter::chat {

namespace {

using Kind = Value::Kind;

/// item.a.b, where numbers are positions, as map and sort name attributes.
Value attributeOf(Value item, std::string_view path) {
  while (true) {
    const size_t dot = std::min(path.find('.'), path.size());
    const std::string part(path.substr(0, dot));
    const bool number = !part.empty() && part.find_first_not_of("0123456789") == part.npos;
    item = subscript(item, number && part.size() < 10 ? Value::integer(std::atoi(part.c_str()))
                                                      : Value::string(part));
    if (dot == path.size())
      return item;
    path.remove_prefix(dot + 1);
  }
}

/// The value that an item is compared by: one of its attributes, letters lowered unless case counts.
Value sortKey(const Value &item, const Value &attribute, bool caseCounts) {
  const auto lowered = [&](Value value) {
    return !caseCounts && value.isString() ? Value::string(lowerCase(value.text())) : value;
  };
  if (attribute.isInteger())
    return lowered(subscript(item, attribute));
  if (!attribute.isString())
    return lowered(item);
  std::string_view path = attribute.text();
  if (path.find(',') == path.npos)
    return lowered(attributeOf(item, path));
  List keys;
  while (true) {
    const size_t comma = std::min(path.find(','), path.size());
    keys.push_back(lowered(attributeOf(item, path.substr(0, comma))));
    if (comma == path.size())
      return Value::list(std::move(keys));
    path.remove_prefix(comma + 1);
  }
}

/// Items with their keys, so that each key is made once.
struct Keyed {
  Value key, item;
};
std::vector<Keyed> withKeys(const List &items, const Value &attribute, bool caseCounts) {
  std::vector<Keyed> keyed;
  for (const Value &item : items)
    keyed.push_back({sortKey(item, attribute, caseCounts), item});
  return keyed;
}
void sortKeyed(std::vector<Keyed> &keyed, bool reversed) {
  // An insertion into a sorted list: stable, and a comparison that throws leaves nothing half-moved.
  std::vector<Keyed> sorted;
  for (Keyed &each : keyed) {
    const auto at = std::upper_bound(sorted.begin(), sorted.end(), each, [&](const Keyed &a, const Keyed &b) {
      return reversed ? less(b.key, a.key) : less(a.key, b.key);
    });
    sorted.insert(at, std::move(each));
  }
  keyed = std::move(sorted);
}
List itemsOf(std::vector<Keyed> keyed) {
  List items;
  for (Keyed &each : keyed)
    items.push_back(std::move(each.item));
  return items;
}

Value sort(const Value &v, const Arguments &a) {
  const Bound bound("sort", a, {"reverse", "case_sensitive", "attribute"});
  std::vector<Keyed> keyed = withKeys(iterate(v), bound[2], bound.truth(1, false));
  sortKeyed(keyed, bound.truth(0, false));
  return Value::list(itemsOf(std::move(keyed)));
}

Value dictSort(const Value &v, const Arguments &a) {
  const Bound bound("dictsort", a, {"case_sensitive", "by", "reverse"});
  const std::string by = bound.has(1) ? bound.text(1) : "key";
  if (by != "key" && by != "value")
    throw TemplateError{fmt::format("dictsort: expected by='key' or 'value', found '{}'", by)};
  if (!v.is(Kind::Dict))
    throw TemplateError{fmt::format("dictsort: expected a dict, found {}", v.typeName())};
  List pairs;
  for (const auto &[key, value] : v.entries())
    pairs.push_back(Value::tuple({key, value}));
  std::vector<Keyed> keyed = withKeys(pairs, Value::integer(by == "value"), bound.truth(0, false));
  sortKeyed(keyed, bound.truth(2, false));
  return Value::list(itemsOf(std::move(keyed)));
}

Value unique(const Value &v, const Arguments &a) {
  const Bound bound("unique", a, {"case_sensitive", "attribute"});
  std::vector<Keyed> kept;
  for (Keyed &each : withKeys(iterate(v), bound[1], bound.truth(0, false)))
    if (std::none_of(kept.begin(), kept.end(),
                     [&](const Keyed &other) { return equal(other.key, each.key); }))
      kept.push_back(std::move(each));
  return Value::iterator(itemsOf(std::move(kept)));
}

template <bool largest> Value extreme(const Value &v, const Arguments &a) {
  const Bound bound(largest ? "max" : "min", a, {"case_sensitive", "attribute"});
  std::vector<Keyed> keyed = withKeys(iterate(v), bound[1], bound.truth(0, false));
  if (keyed.empty())
    return Value::undefined("No aggregated item, sequence was empty.");
  size_t best = 0;
  for (size_t i = 1; i < keyed.size(); ++i)
    if (largest ? less(keyed[best].key, keyed[i].key) : less(keyed[i].key, keyed[best].key))
      best = i;
  return keyed[best].item;
}

Value sum(const Value &v, const Arguments &a) {
  const Bound bound("sum", a, {"attribute", "start"});
  Value total = bound.has(1) ? bound[1] : Value::integer(0);
  for (const Value &each : iterate(v))
    total = arithmetic("+", total,
                       bound.has(0) && !bound[0].is(Kind::None) ? attributeOf(each, bound[0].str()) : each);
  return total;
}

Value join(const Value &v, const Arguments &a) {
  const Bound bound("join", a, {"d", "attribute"});
  const std::string separator = bound.has(0) ? bound[0].str() : "";
  std::string out;
  bool first = true;
  for (const Value &each : iterate(v)) {
    if (!std::exchange(first, false))
      out += separator;
    out += bound.has(1) && !bound[1].is(Kind::None) ? attributeOf(each, bound[1].str()).str() : each.str();
    if (out.size() > textLimit)
      throw TemplateError{"a string is too long"};
  }
  return Value::string(std::move(out));
}

Value first(const Value &v, const Arguments &) {
  const List items = iterate(v);
  return items.empty() ? Value::undefined("No first item, sequence was empty.") : items.front();
}
Value last(const Value &v, const Arguments &) {
  const List items = iterate(v);
  return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}
Value count(const Value &v, const Arguments &) { return Value::integer(length(v)); }
Value list(const Value &v, const Arguments &) { return Value::list(iterate(v)); }

Value items(const Value &v, const Arguments &) {
  List pairs;
  if (v.isUndefined())
    return Value::iterator(std::move(pairs));
  if (!v.is(Kind::Dict))
    throw TemplateError{fmt::format("items: expected a dict, found {}", v.typeName())};
  for (const auto &[key, value] : v.entries())
    pairs.push_back(Value::tuple({key, value}));
  return Value::iterator(std::move(pairs));
}

Value reverse(const Value &v, const Arguments &) {
  List all = iterate(v);
  std::reverse(all.begin(), all.end());
  if (!v.isString())
    return Value::iterator(std::move(all));
  std::string text;
  for (const Value &each : all)
    text += each.text();
  return Value::string(std::move(text));
}

/// What follows the first `count` positional arguments.
Arguments after(const Arguments &a, size_t count) {
  return {{a.positional.begin() + ptrdiff_t(std::min(count, a.positional.size())), a.positional.end()},
          a.named};
}

Value map(const Value &v, const Arguments &a) {
  List out;
  if (a.positional.empty()) {
    const Bound bound("map", a, {"attribute", "default"});
    for (const Value &each : iterate(v)) {
      Value value = bound[0].isInteger() ? subscript(each, bound[0]) : attributeOf(each, bound.text(0));
      out.push_back(value.isUndefined() && bound.has(1) ? bound[1] : std::move(value));
    }
    return Value::iterator(std::move(out));
  }
  const std::string name = a.positional[0].str();
  const Filter filter = findFilter(name);
  if (!filter)
    throw TemplateError{fmt::format("map: the filter '{}' is not supported", name)};
  for (const Value &each : iterate(v))
    out.push_back(filter(each, after(a, 1)));
  return Value::iterator(std::move(out));
}

/// select, reject, selectattr and rejectattr: `byAttribute` takes the attribute's name first.
template <bool byAttribute, bool keep> Value choose(const Value &v, const Arguments &a) {
  if (byAttribute && a.positional.empty())
    throw TemplateError{"selectattr: expected an attribute's name"};
  const size_t testAt = byAttribute ? 1 : 0;
  Test test = nullptr;
  if (a.positional.size() > testAt) {
    test = findTest(a.positional[testAt].str());
    if (!test)
      throw TemplateError{fmt::format("select: the test '{}' is not supported", a.positional[testAt].str())};
  }
  const Arguments rest = after(a, testAt + 1);
  List out;
  for (const Value &each : iterate(v)) {
    const Value value = !byAttribute                  ? each
                        : a.positional[0].isInteger() ? subscript(each, a.positional[0])
                                                      : attributeOf(each, a.positional[0].str());
    if ((test ? test(value, rest) : value.truth()) == keep)
      out.push_back(each);
  }
  return Value::iterator(std::move(out));
}

Value batch(const Value &v, const Arguments &a) {
  const Bound bound("batch", a, {"linecount", "fill_with"});
  const int64_t size = bound.integer(0, 0);
  if (size < 1)
    throw TemplateError{"batch: expected a size of at least 1"};
  List out, row;
  for (const Value &each : iterate(v)) {
    row.push_back(each);
    if (int64_t(row.size()) == size)
      out.push_back(Value::list(std::exchange(row, {})));
  }
  if (!row.empty()) {
    if (bound.has(1) && !bound[1].is(Kind::None))
      row.resize(size_t(size), bound[1]);
    out.push_back(Value::list(std::move(row)));
  }
  return Value::iterator(std::move(out));
}

constexpr NamedFilter filters[] = {
    {"batch", batch},
    {"count", count},
    {"dictsort", dictSort},
    {"first", first},
    {"items", items},
    {"join", join},
    {"last", last},
    {"length", count},
    {"list", list},
    {"map", map},
    {"max", extreme<true>},
    {"min", extreme<false>},
    {"reject", choose<false, false>},
    {"rejectattr", choose<true, false>},
    {"reverse", reverse},
    {"select", choose<false, true>},
    {"selectattr", choose<true, true>},
    {"sort", sort},
    {"sum", sum},
    {"unique", unique},
};

} // namespace

std::span<const NamedFilter> sequenceFilters() { return filters; }

} // namespace sinter::chat
