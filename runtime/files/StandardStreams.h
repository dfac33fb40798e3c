// SPDX-License-Identifier: Apache-2.0
// Standard input, output and error that a process was started without.
#ifndef SINTER_RUNTIME_FILES_STANDARDSTREAMS_H
#define SINTER_RUNTIME_FILES_STANDARDSTREAMS_H

namespace sinter {

/// Descriptors 0 to 2 that are closed become ones on which reading and writing fails. Without this the next
/// file that is opened would get such a number, and messages would go into a model's executable. For the
/// first lines of a main.
void reserveStandardStreams();

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_STANDARDSTREAMS_H
