// SPDX-License-Identifier: Apache-2.0
// What the unwinder of GCC 12 asks glibc 2.35 for, on top of older ones: programs that use this file run with
// glibc 2.34. (Static programs take glibc's own.)
#include <dlfcn.h>
#include <elf.h>
#include <link.h>

namespace {

struct Search {
  ElfW(Addr) address;
  dl_find_object *found;
};

/// Fills `found` when the module's segments hold the address, and ends the walk.
int look(dl_phdr_info *module, size_t, void *argument) {
  const Search &search = *static_cast<Search *>(argument);
  ElfW(Addr) begin = ~ElfW(Addr)(0), end = 0, frames = 0;
  bool holds = false;
  for (int i = 0; i < module->dlpi_phnum; ++i) {
    const ElfW(Phdr) &segment = module->dlpi_phdr[i];
    const ElfW(Addr) at = module->dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_GNU_EH_FRAME)
      frames = at;
    if (segment.p_type != PT_LOAD)
      continue;
    begin = at < begin ? at : begin;
    end = at + segment.p_memsz > end ? at + segment.p_memsz : end;
    holds |= search.address >= at && search.address < at + segment.p_memsz;
  }
  if (!holds)
    return 0;
  *search.found = {};
  search.found->dlfo_map_start = reinterpret_cast<void *>(begin);
  search.found->dlfo_map_end = reinterpret_cast<void *>(end);
  search.found->dlfo_eh_frame = reinterpret_cast<void *>(frames);
  return frames ? 1 : -1;
}

} // namespace

/// As in glibc 2.35, without the link map: 0 when the module of `address` was found and has unwinding tables.
extern "C" int _dl_find_object(void *address, dl_find_object *found) noexcept {
  Search search = {reinterpret_cast<ElfW(Addr)>(address), found};
  return dl_iterate_phdr(look, &search) == 1 ? 0 : -1;
}
