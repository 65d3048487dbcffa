/// Changes a message as a sender could that knows the protocol and means ill: a field is another
/// number, a few bytes differ, a part is gone, twice there, or from another message; the frame
/// around it stays canonical, so that it gets past the first look.
#pragma once

#include "tributary/value/msgpack.hpp"

#include "sim/random.hpp"
#include <vector>

namespace tributary::sim {

/// Another value in place of some part of `v`.
void mutate(random_source& random, value& v);

/// `frame` with a part changed; as it is if it is no canonical value.
bytes mutate_frame(random_source& random, const bytes& frame);

/// `frame` with bytes changed, cut off, put in.
bytes damage(random_source& random, bytes frame);

}  // namespace tributary::sim
