// SPDX-License-Identifier: Apache-2.0
// The superuser may read and write everything; while this object lives, a test is run by nobody.
#ifndef SINTER_TEST_WITHOUTPRIVILEGES_H
#define SINTER_TEST_WITHOUTPRIVILEGES_H

#include <unistd.h>

namespace sinter {

class WithoutPrivileges {
public:
  WithoutPrivileges() : before(::geteuid()) {
    if (before == 0)
      dropped = ::seteuid(65534) == 0;
  }
  ~WithoutPrivileges() {
    if (dropped && ::seteuid(before) != 0)
      ::_exit(1); // the other tests would fail without a reason
  }
  WithoutPrivileges(const WithoutPrivileges &) = delete;
  WithoutPrivileges &operator=(const WithoutPrivileges &) = delete;

  /// False where the system does not let the superuser become another.
  bool hold() const { return ::geteuid() != 0; }

private:
  uid_t before;
  bool dropped = false;
};

} // namespace sinter

#endif // SINTER_TEST_WITHOUTPRIVILEGES_H
