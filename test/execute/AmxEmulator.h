// SPDX-License-Identifier: Apache-2.0
// Runs AMX instructions on machines without AMX: the processor refuses them (SIGILL), and a handler does what
// they mean. For tests of kernels only.
#ifndef SINTER_TEST_EXECUTE_AMXEMULATOR_H
#define SINTER_TEST_EXECUTE_AMXEMULATOR_H

#include <optional>

namespace sinter::test {

/// Installs the handler for the rest of the process, where the machine has no AMX or does not permit it. Knows
/// ldtilecfg, tilerelease, tilezero, tileloadd, tilestored and tdpbf16ps; anything else ends the process as
/// before.
void emulateAmx();

/// Products of tiles so far that were emulated; none where the machine has AMX.
std::optional<long> emulatedProducts();

} // namespace sinter::test

#endif // SINTER_TEST_EXECUTE_AMXEMULATOR_H
