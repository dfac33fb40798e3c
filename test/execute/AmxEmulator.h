// SPDX-License-Identifier: Apache-2.0
// Runs AMX instructions on machines without AMX: the processor refuses them (SIGILL), and a handler does what
// they mean. Slow; for tests of kernels only.
#ifndef SINTER_TEST_EXECUTE_AMXEMULATOR_H
#define SINTER_TEST_EXECUTE_AMXEMULATOR_H

namespace sinter::test {

/// Installs the handler while it lives. Knows ldtilecfg, tilerelease, tilezero, tileloadd, tilestored and
/// tdpbf16ps; anything else ends the process as before.
class AmxEmulator {
public:
  AmxEmulator();
  ~AmxEmulator();
  AmxEmulator(const AmxEmulator &) = delete;

  /// Products of tiles so far.
  static long products();
};

} // namespace sinter::test

#endif // SINTER_TEST_EXECUTE_AMXEMULATOR_H
