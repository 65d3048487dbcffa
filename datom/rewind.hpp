/// Undoing what came after a point in time, as one more transaction.
#pragma once

#include "tributary/datom/staged.hpp"

namespace tributary::datom {

/// Stages a rewind entry that puts all facts, but those of schema, back to how they were at
/// `mark.to`. Reads the log of what is stored, so nothing may be staged before it, nor after it in
/// the same batch. O(what is undone).
tx_report stage_rewind(staged& base,
                       const kv_reader& store,
                       const rewind_mark& mark,
                       std::int64_t now_ms);

}  // namespace tributary::datom
