// SPDX-License-Identifier: Apache-2.0
// Opens /dev/null the wrong way round in place of closed streams.
#include "runtime/files/StandardStreams.h"

#include <fcntl.h>

namespace sinter {

void reserveStandardStreams() {
  for (int descriptor = 0; descriptor < 3; ++descriptor)
    if (::fcntl(descriptor, F_GETFD) < 0) // open() gives the lowest number that is free: this one
      ::open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY);
}

} // namespace sinter
