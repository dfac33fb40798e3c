/* SPDX-License-Identifier: Apache-2.0 */
/* How many tiles a launch has, in plain C. */
#ifndef SINTER_RUNTIME_DEVICE_TILES_H
#define SINTER_RUNTIME_DEVICE_TILES_H

#include "runtime/abi.h"

/* See struct sinter_grid. */
static inline int64_t sinter_tile_count(const struct sinter_grid *grid, const struct sinter_step *step) {
  int64_t rows = grid->domain == SINTER_DOMAIN_ROWS       ? step->rows
                 : grid->domain == SINTER_DOMAIN_SELECTED ? step->selected
                                                          : step->draws;
  int64_t tiles = grid->columns;
  if (grid->rows_per_tile)
    tiles *= (rows + grid->rows_per_tile - 1) / grid->rows_per_tile;
  if (grid->keys_per_tile)
    tiles *= (step->keys + grid->keys_per_tile - 1) / grid->keys_per_tile;
  return tiles;
}

#endif /* SINTER_RUNTIME_DEVICE_TILES_H */
