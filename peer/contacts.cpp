#include "tributary/peer/contacts.hpp"

#include "tributary/crdt/packed.hpp"

namespace tributary {

namespace {

const std::string prefix = "contact/";

bytes encode(const contact& c) {
    bytes out;
    packed::put_array(out, 5);
    c.key ? packed::put_bin(out, c.key->view()) : packed::put_nil(out);
    packed::put_uint(out, static_cast<std::uint64_t>(c.state));
    packed::put_int(out, c.since_ms);
    c.synced_ms ? packed::put_int(out, *c.synced_ms) : packed::put_nil(out);
    packed::put_bin(out, c.reason);
    return out;
}

contact decode(std::string url, bytes_view record) {
    packed::reader in(record, "a record of a peer");
    contact c;
    c.url = std::move(url);
    if (in.array() != 5) in.fail("it has another number of fields");
    if (!in.nil()) c.key = public_key::from_bytes(in.bin(32));
    const std::uint64_t state = in.uint();
    if (state > static_cast<std::uint64_t>(link_state::refused)) in.fail("an unknown state");
    c.state = static_cast<link_state>(state);
    c.since_ms = in.integer();
    if (!in.nil()) c.synced_ms = in.integer();
    c.reason = in.bin();
    in.end();
    return c;
}

}  // namespace

std::optional<contact> load_contact(const commit_store& store,
                                    crdt_handle h,
                                    const std::string& url) {
    const auto record = store.mark(h, prefix + url);
    return record ? std::optional(decode(url, *record)) : std::nullopt;
}

void save_contact(commit_store& store, crdt_handle h, const contact& c) {
    store.put_mark(h, prefix + c.url, encode(c));
}

std::vector<contact> contacts_of(const commit_store& store, crdt_handle h) {
    std::vector<contact> out;
    for (const auto& [key, record] : store.marks(h, prefix))
        out.push_back(decode(key.substr(prefix.size()), record));
    return out;
}

}  // namespace tributary
