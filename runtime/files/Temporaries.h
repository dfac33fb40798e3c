// SPDX-License-Identifier: Apache-2.0
// The files and folders that shall not outlive the process: a table that a signal handler can read.
#ifndef SINTER_RUNTIME_FILES_TEMPORARIES_H
#define SINTER_RUNTIME_FILES_TEMPORARIES_H

#include <string>

namespace sinter {

/// Enters a file, or a folder that goes with the files in it. More paths than the table holds (1024): the
/// rest is not removed on a signal.
void rememberTemporary(const std::string &path);

/// Takes a path out again.
void forgetTemporary(const std::string &path);

/// Removes what the table holds now. Async-signal-safe: for the handlers of signals that end the process, so
/// that an interrupted run leaves nothing half-written behind.
void removeTemporaries() noexcept;

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_TEMPORARIES_H
