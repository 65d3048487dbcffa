/// Undoing what came after a point in time, as one more transaction.
#pragma once

#include "tributary/datom/staged.hpp"

namespace tributary::datom {

/// Stages a rewind entry that puts all facts, but those of schema, back to how they were at
/// `mark.to`. O(what is undone).
void stage_rewind(staged& base,
                  const kv_reader& store,
                  const rewind_mark& mark,
                  std::int64_t now_ms);

}  // namespace tributary::datom
