// SPDX-License-Identifier: Apache-2.0
// All operations of the dialect, a file a family.
#ifndef SINTER_LM_OPS_TD
#define SINTER_LM_OPS_TD

include "dialects/lm/graph/Graph.td"
include "dialects/lm/linear/Linear.td"
include "dialects/lm/norm/Norm.td"
include "dialects/lm/position/Position.td"
include "dialects/lm/attention/Attention.td"
include "dialects/lm/elementwise/Elementwise.td"
include "dialects/lm/experts/Experts.td"
include "dialects/lm/loss/Loss.td"

#endif // SINTER_LM_OPS_TD
