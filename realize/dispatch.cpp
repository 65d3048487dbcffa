#include "tributary/realize/dispatch.hpp"

#include "tributary/realize/form.hpp"
#include "tributary/value/edn.hpp"
#include "tributary/value/msgpack.hpp"

namespace tributary {

namespace {

constexpr const char* purpose = "trib.dispatch.1";

/// The forms of one op as a function from its params to transaction data; an [:each ...] among them stands for several forms.
class op_forms {
public:
    explicit op_forms(const vector& forms) {
        for (const value& source : forms) {
            const auto* call = source.get_if<vector>();
            const bool spread = call != nullptr && !call->empty() && call->front() == value(keyword{"each"});
            forms_.push_back({compile_form(source), spread});
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
        throw error(errc::bad_input, "dispatch map: " + what + ": expected a vector, found " + edn::print(where));
    }
    return *items;
}

/// `:schema` is one transaction (a vector of forms) or several (a vector of such vectors).
value read_schema(const value& source) {
    const vector& items = vector_at(source, ":schema");
    if (items.empty()) return vector{};
    for (const value& item : items) {
        if (item.get_if<map>() != nullptr) return vector{source};
        vector_at(item, ":schema");
    }
    return source;
}

}  // namespace

dispatch_map read_dispatch_map(std::string_view edn_text) {
    const value source = edn::read(edn_text);
    const auto* entries = source.get_if<map>();
    if (entries == nullptr) throw error(errc::bad_input, "dispatch map: expected {:schema [...] :ops {...}}, found " + edn::print(source));
    dispatch_map out;
    for (const auto& [key, val] : entries->entries) {
        if (key == value(keyword{"schema"})) {
            out.schema = read_schema(val);
        } else if (key == value(keyword{"ops"})) {
            const auto* ops = val.get_if<map>();
            if (ops == nullptr) throw error(errc::bad_input, "dispatch map: :ops: expected a map from op symbols to forms");
            for (const auto& [name, forms] : ops->entries) {
                const auto* op_name = name.get_if<symbol>();
                if (op_name == nullptr) throw error(errc::bad_input, "dispatch map: :ops: expected a symbol, found " + edn::print(name));
                const op_forms compiled(vector_at(forms, op_name->text));
                out.ops[op_name->text] = [compiled](const value& params, const op_context&) { return compiled(params); };
            }
        } else {
            throw error(errc::bad_input, "dispatch map: expected :schema and :ops, found " + edn::print(key));
        }
    }
    out.digest = hash(purpose, encode(source));
    return out;
}

dispatch_map make_dispatch_map(std::map<std::string, op_function> ops, value schema, std::string_view version) {
    dispatch_map out;
    vector named;
    for (const auto& [name, function] : ops) named.emplace_back(name);
    out.digest = hash(purpose, encode(value(vector{value(version), value(std::move(named)), schema})));
    out.ops = std::move(ops);
    out.schema = read_schema(schema);
    return out;
}

}  // namespace tributary
