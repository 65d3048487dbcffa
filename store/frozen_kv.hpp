/// A moment of a kv as a kv of its own, for reading at length without stopping whoever writes.
#pragma once

#include "tributary/store/kv.hpp"

namespace tributary {

class frozen_kv : public kv {
public:
    explicit frozen_kv(const kv& of) : view_(of.snapshot()) {}
    std::optional<bytes> get(bytes_view key) const override { return view_->get(key); }
    std::unique_ptr<kv_cursor> cursor() const override { return view_->cursor(); }
    void write(const kv_batch&, bool) override {
        throw error(errc::misuse, "a snapshot is only for reading");
    }
    kv_snapshot snapshot() const override { return view_; }

private:
    kv_snapshot view_;
};

}  // namespace tributary
