/// A kv in memory on top of an unchanging one.
#pragma once

#include "tributary/store/kv.hpp"

namespace tributary {

/// Reads `base` with the changes written since; nothing of it is ever durable. Its cost is that of
/// its changes: a snapshot shares them, and one on top of another overlay's snapshot copies those
/// instead of stacking up. Thread rule: as kv.
std::unique_ptr<kv> make_overlay_kv(kv_snapshot base);

}  // namespace tributary
