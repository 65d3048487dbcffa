#include "tributary/realize/dispatch.hpp"

#include "tributary/realize/form.hpp"
#include "tributary/value/edn.hpp"
#include "tributary/value/msgpack.hpp"

namespace tributary {

namespace {

constexpr const char* purpose = "trib.dispatch.1";

/// The forms of one op as a function from its params to transaction data; an [:each ...] among them
/// stands for several forms.
class op_forms {
public:
    explicit op_forms(const vector& forms) {
        for (const value& source : forms) {
            if (source.get_if<map>() == nullptr && source.get_if<vector>() == nullptr) {
                throw error(
                    errc::bad_input,
                    "expected a map {attribute form ...} or a vector [operation ...], found " +
                        edn::describe(source));
            }
            forms_.push_back({compile_form(source), is_each(source)});
        }
    }

    value operator()(const value& params) const {
        vector out;
        for (const part& p : forms_) {
            std::optional<value> made = p.made_by->evaluate(params);
            if (!made) continue;
            if (!p.spread) {
                out.push_back(std::move(*made));
                continue;
            }
            for (value& item : made->as<vector>()) out.push_back(std::move(item));
        }
        return value(std::move(out));
    }

private:
    struct part {
        std::shared_ptr<const form> made_by;
        bool spread;
    };
    std::vector<part> forms_;
};

const vector& vector_at(const value& where, const std::string& what) {
    const auto* items = where.get_if<vector>();
    if (items == nullptr) {
        throw error(errc::bad_input,
                    "dispatch map: " + what + ": expected a vector, found " + edn::describe(where));
    }
    return *items;
}

/// A map, or a vector such as [:db/add e a v].
bool is_tx_form(const value& v) {
    const auto* items = v.get_if<vector>();
    return v.get_if<map>() != nullptr ||
           (items != nullptr && !items->empty() && items->front().get_if<keyword>() != nullptr);
}

/// `:schema` is one transaction (a vector of forms) or several (a vector of such vectors).
value read_schema(const value& source) {
    const vector& items = vector_at(source, ":schema");
    if (items.empty()) return vector{};
    if (is_tx_form(items.front())) return vector{source};
    for (const value& item : items) vector_at(item, ":schema");
    return source;
}

op_function read_op(const std::string& name, const value& source) {
    const vector& forms = vector_at(source, "the op " + name);
    try {
        return [compiled = op_forms(forms)](const value& params, const op_context&) {
            return compiled(params);
        };
    } catch (const error& e) {
        throw error(e.code(), "dispatch map: the op " + name + ": " + e.what());
    }
}

}  // namespace

dispatch_map read_dispatch_map(std::string_view edn_text) {
    const value source = edn::read(edn_text);
    const auto* entries = source.get_if<map>();
    if (entries == nullptr)
        throw error(
            errc::bad_input,
            "dispatch map: expected {:schema [...] :ops {...}}, found " + edn::describe(source));
    if (source.find(value(keyword{"ops"})) == nullptr) {
        throw error(
            errc::bad_input,
            "dispatch map: expected :ops with a map from op symbols to forms, and found none");
    }
    dispatch_map out;
    for (const auto& [key, val] : entries->entries) {
        if (key == value(keyword{"schema"})) {
            out.schema = read_schema(val);
        } else if (key == value(keyword{"ops"})) {
            const auto* ops = val.get_if<map>();
            if (ops == nullptr)
                throw error(errc::bad_input,
                            "dispatch map: :ops: expected a map from op symbols to forms");
            for (const auto& [name, forms] : ops->entries) {
                const auto* op_name = name.get_if<symbol>();
                if (op_name == nullptr)
                    throw error(
                        errc::bad_input,
                        "dispatch map: :ops: expected a symbol, found " + edn::describe(name));
                out.ops[op_name->text] = read_op(op_name->text, forms);
            }
        } else {
            throw error(errc::bad_input,
                        "dispatch map: expected :schema and :ops, found " + edn::describe(key));
        }
    }
    out.digest = hash(purpose, encode(source));
    return out;
}

dispatch_map make_dispatch_map(std::map<std::string, op_function> ops,
                               value schema,
                               std::string_view version) {
    dispatch_map out;
    vector named;
    for (const auto& [name, function] : ops) named.emplace_back(name);
    out.digest =
        hash(purpose, encode(value(vector{value(version), value(std::move(named)), schema})));
    out.ops = std::move(ops);
    out.schema = read_schema(schema);
    return out;
}

}  // namespace tributary
