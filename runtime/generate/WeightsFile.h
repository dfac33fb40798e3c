// SPDX-License-Identifier: Apache-2.0
// Where the weights of a model are that was compiled with --weights-file.
#ifndef SINTER_RUNTIME_GENERATE_WEIGHTSFILE_H
#define SINTER_RUNTIME_GENERATE_WEIGHTSFILE_H

#include <string>

namespace sinter {

/// `given` (a flag or an option) when there is one; else the file of the recorded name beside the program or
/// library that this code is in, when there is one; else the recorded path. Empty when nothing is recorded.
std::string findWeightsFile(const std::string &given, const std::string &recorded);

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_WEIGHTSFILE_H
