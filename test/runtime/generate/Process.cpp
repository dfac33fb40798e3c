// SPDX-License-Identifier: Apache-2.0
// fork, exec, poll.
#include "test/runtime/generate/Process.h"
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sinter::fake {

Outcome run(const std::string &program, const Launch &launch) {
  std::signal(SIGPIPE, SIG_IGN);
  int in[2], out[2], err[2];
  if (pipe(in) || pipe(out) || pipe(err))
    std::abort();
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGPIPE, SIG_DFL);
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    if (!launch.inputFile.empty())
      dup2(open(launch.inputFile.c_str(), O_RDONLY), 0);
    if (!launch.outputFile.empty())
      dup2(open(launch.outputFile.c_str(), O_WRONLY | O_CREAT, 0600), 1);
    for (int each : {in[0], in[1], out[0], out[1], err[0], err[1]})
      close(each);
    for (const std::string &each : launch.environment)
      putenv(const_cast<char *>(each.c_str()));
    std::vector<char *> arguments = {const_cast<char *>(program.c_str())};
    for (const std::string &each : launch.arguments)
      arguments.push_back(const_cast<char *>(each.c_str()));
    arguments.push_back(nullptr);
    alarm(60);
    execv(program.c_str(), arguments.data());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  close(err[1]);
  size_t written = 0;
  while (written < launch.input.size()) {
    const ssize_t got = write(in[1], launch.input.data() + written, launch.input.size() - written);
    if (got <= 0)
      break;
    written += size_t(got);
  }
  close(in[1]);
  Outcome outcome;
  pollfd waits[2] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
  while (waits[0].fd >= 0 || waits[1].fd >= 0) {
    poll(waits, 2, -1);
    for (int i = 0; i < 2; ++i) {
      if (waits[i].fd < 0 || !waits[i].revents)
        continue;
      char buffer[65536];
      const ssize_t got = read(waits[i].fd, buffer, sizeof buffer);
      std::string &text = i == 0 ? outcome.out : outcome.err;
      if (got > 0)
        text.append(buffer, size_t(got));
      const bool leave = i == 0 && got > 0 && launch.onOutput && !launch.onOutput(child, text);
      if (got <= 0 || leave) {
        close(waits[i].fd);
        waits[i].fd = -1;
      }
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

} // namespace sinter::fake
