// SPDX-License-Identifier: Apache-2.0
// What `sinter info MODEL` prints.
#ifndef SINTER_FRONTEND_INFO_H
#define SINTER_FRONTEND_INFO_H

#include "runtime/Result.h"

#include <string>

namespace sinter {

/// A report on a model, a line a fact: architecture and sizes, parameters, types of weights, tokenizer, chat
/// template, bytes and floating-point operations a token. Reads no weights. Fails as openModel does, and when
/// tensors are missing or have the wrong shape.
Result<std::string> describeModel(const std::string &path);

} // namespace sinter

#endif // SINTER_FRONTEND_INFO_H
