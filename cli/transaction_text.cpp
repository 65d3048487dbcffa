#include "transaction_text.hpp"

namespace tributary::cli {

attribute_names::attribute_names(datom::db d)
    : db_(std::move(d)), ident_(db_.entid(keyword{"db/ident"}).value()) {}

value attribute_names::of(datom::entity_id attribute) {
    const auto [it, is_new] = names_.try_emplace(attribute);
    if (is_new) {
        const auto ident = db_.ident(attribute);
        it->second = ident ? value(*ident) : value(attribute);
    }
    return it->second;
}

void attribute_names::declared_in(const datom::log_tx& tx) {
    for (const datom::datom& d : tx.data)
        if (d.a == ident_ && d.added) names_.try_emplace(d.e, d.v);
}

void attribute_names::renamed_in(const datom::log_tx& tx) {
    for (const datom::datom& d : tx.data)
        if (d.a == ident_ && d.added) names_[d.e] = d.v;
}

value as_forms(const datom::log_tx& tx, attribute_names& names) {
    static const value add = keyword{"db/add"}, retract = keyword{"db/retract"};
    static const value instant = keyword{"db/txInstant"};
    names.declared_in(tx);
    vector forms;
    for (const datom::datom& d : tx.data) {
        value attribute = names.of(d.a);
        // A rewind takes back the instants of what it undoes: when that was stays known.
        if (attribute == instant) continue;
        forms.push_back(vector{d.added ? add : retract, d.e, std::move(attribute), d.v});
    }
    names.renamed_in(tx);
    std::vector<std::pair<value, value>> entries = {{keyword{"t"}, tx.t},
                                                    {keyword{"instant"}, tx.instant},
                                                    {keyword{"data"}, std::move(forms)}};
    if (tx.rewind) {
        entries.emplace_back(keyword{"rewind-to"}, tx.rewind->to);
        entries.emplace_back(keyword{"stream"}, tx.rewind->stream);
        entries.emplace_back(keyword{"position"}, tx.rewind->position);
    }
    return make_map(std::move(entries));
}

}  // namespace tributary::cli
