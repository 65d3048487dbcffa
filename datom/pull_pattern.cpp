#include "tributary/datom/pull_pattern.hpp"

#include "tributary/datom/fault.hpp"
#include "tributary/value/msgpack.hpp"

#include <algorithm>

namespace tributary::datom {

namespace {

constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

const vector* items_of(const value& v) {
    if (const vector* items = v.get_if<vector>()) return items;
    const list* l = v.get_if<list>();
    return l ? &l->items : nullptr;
}

/// A word of the grammar, written as a symbol or a string.
bool is_word(const value& v, std::string_view word) {
    if (const symbol* s = v.get_if<symbol>()) return s->text == word;
    const std::string* s = v.get_if<std::string>();
    return s && *s == word;
}

bool is_wildcard(const value& v) {
    const keyword* k = v.get_if<keyword>();
    return is_word(v, "*") || (k && k->text == "*");
}

/// `ns/_name` to `ns/name`; nothing for a name that is not reversed.
std::optional<std::string> reversed(const std::string& ident) {
    const std::size_t slash = ident.find('/');
    const std::size_t name = slash == std::string::npos ? 0 : slash + 1;
    if (name + 1 >= ident.size() || ident[name] != '_') return std::nullopt;
    return ident.substr(0, name) + ident.substr(name + 1);
}

class pull_parser {
public:
    pull_parser(const schema& attributes, const query_options& options)
        : attributes_(attributes), options_(options) {}

    pull_pattern pattern(const value& form) {
        const vector* items = items_of(form);
        if (!items || items->empty()) {
            fail(form,
                 "expected a pattern: a vector of attributes, such as [:person/name "
                 "{:person/friend [*]}]");
        }
        const nesting level(inside_, form);
        pull_pattern p;
        for (const value& item : *items) {
            if (is_wildcard(item)) {
                p.everything = true;
            } else if (const map* m = item.get_if<map>()) {
                for (const auto& [name, follow] : m->entries)
                    p.specs.push_back(map_entry(name, follow));
            } else {
                p.specs.push_back(attribute_spec(item));
            }
        }
        return p;
    }

private:
    /// While the parts of a form are read.
    struct nesting {
        nesting(std::vector<const value*>& inside, const value& form) : inside_(inside) {
            // A map has two, its attribute and the pattern behind it.
            if (inside_.size() >= 2 * nesting_max) {
                throw error(errc::limit,
                            "db.error/nesting-limit",
                            "pull: a pattern nested deeper than " + std::to_string(nesting_max));
            }
            inside_.push_back(&form);
        }
        ~nesting() { inside_.pop_back(); }
        nesting(const nesting&) = delete;
        nesting& operator=(const nesting&) = delete;
        std::vector<const value*>& inside_;
    };

    [[noreturn]] void fail(const char* name, const value& form, const std::string& problem) const {
        datalog::place where(datalog::shown(form), {});
        for (const value* outer : inside_) where.way.push_back(datalog::shown(*outer));
        if (where.way.empty() || where.way.back() != where.name) where.way.push_back(where.name);
        throw datalog::clause_error(
            errc::bad_input, name, where, "pull: in " + where.name + ": " + problem);
    }
    [[noreturn]] void fail(const value& form, const std::string& problem) const {
        fail("db.error/invalid-pull", form, problem);
    }

    pull_spec map_entry(const value& name, const value& follow) {
        pull_spec spec = attribute_spec(name);
        if (spec.is_id || (spec.what && !spec.what->is_ref()))
            fail(name, "only an attribute of type ref leads to entities");
        const nesting level(inside_, name);
        if (items_of(follow)) {
            spec.pattern = std::make_shared<pull_pattern>(pattern(follow));
            return spec;
        }
        spec.recursive = true;
        if (is_word(follow, "...")) return spec;
        const std::int64_t* levels = follow.get_if<std::int64_t>();
        if (!levels || *levels < 1) {
            fail(follow, "expected a pattern, a number of levels from 1 on, or ... for all levels");
        }
        spec.levels = static_cast<std::uint64_t>(*levels);
        return spec;
    }

    /// A name, [name option value ...], (limit name n) or (default name value).
    pull_spec attribute_spec(const value& form) {
        const vector* items = items_of(form);
        if (!items) return name_spec(form);
        const nesting level(inside_, form);
        pull_spec spec;
        if (items->size() == 3 && is_word((*items)[0], "limit")) {
            spec = attribute_spec((*items)[1]);
            set_limit(spec, (*items)[2]);
        } else if (items->size() == 3 && is_word((*items)[0], "default")) {
            spec = attribute_spec((*items)[1]);
            spec.fallback = (*items)[2];
        } else {
            if (items->empty() || items->size() % 2 == 0) {
                fail(form,
                     "expected [attribute option value ...] with the options :as, :limit, "
                     ":default and :xform");
            }
            spec = attribute_spec((*items)[0]);
            for (std::size_t i = 1; i < items->size(); i += 2)
                set_option(spec, (*items)[i], (*items)[i + 1]);
        }
        return spec;
    }

    pull_spec name_spec(const value& form) {
        const keyword* given = form.get_if<keyword>();
        const std::string* text = form.get_if<std::string>();
        if (!given && !(text && text->size() > 1 && text->front() == ':')) {
            fail(form,
                 "expected an attribute (:ns/name, or \":ns/name\" as a string), * or a map "
                 "{attribute pattern}" +
                     missing_colon(form));
        }
        pull_spec spec;
        const std::string ident = given ? given->text : text->substr(1);
        spec.key = keyword{ident};
        spec.is_id = ident == "db/id";
        const std::optional<std::string> forward = reversed(ident);
        spec.reverse = forward.has_value();
        if (!spec.is_id) spec.what = attributes_.find(forward ? *forward : ident);
        if (!spec.is_id && !spec.what && !options_.lenient)
            fail_unknown(form, forward.value_or(ident));
        if (spec.reverse && spec.what && !spec.what->is_ref())
            fail(form, "only an attribute of type ref can be asked for in reverse");
        return spec;
    }

    [[noreturn]] void fail_unknown(const value& form, const std::string& ident) const {
        const bool option =
            ident == "as" || ident == "limit" || ident == "default" || ident == "xform";
        fail("db.error/unknown-attribute",
             form,
             "no attribute is named :" + ident +
                 (option ? "; an option stands in a vector with its attribute, as in [:ns/name :" +
                               ident + " ...]"
                         : nearest_name(attributes_, ident)));
    }

    void set_option(pull_spec& spec, const value& option, const value& v) {
        const keyword* name = option.get_if<keyword>();
        if (name && name->text == "as") {
            spec.key = v;
        } else if (name && name->text == "limit") {
            set_limit(spec, v);
        } else if (name && name->text == "default") {
            spec.fallback = v;
        } else if (name && name->text == "xform") {
            spec.transform = &function_named(v);
        } else {
            fail(option, "expected an option: :as, :limit, :default or :xform");
        }
    }

    void set_limit(pull_spec& spec, const value& v) {
        const std::int64_t* n = v.get_if<std::int64_t>();
        if (!v.is_nil() && (!n || *n < 1))
            fail(v, "a limit is a number from 1 on, or nil for all values");
        spec.limit = n ? static_cast<std::size_t>(*n) : no_limit;
    }

    const query_function& function_named(const value& v) {
        std::string name;
        if (const symbol* s = v.get_if<symbol>()) name = s->text;
        if (const keyword* k = v.get_if<keyword>()) name = k->text;
        const auto found = options_.functions.find(name);
        if (found == options_.functions.end() || !found->second) {
            fail("db.error/unknown-function",
                 v,
                 "there is no function of this name; :xform names one that C++ registered in "
                 "query_options::functions");
        }
        return found->second;
    }

    const schema& attributes_;
    const query_options& options_;
    std::vector<const value*> inside_;  ///< the forms around what is being read
};

}  // namespace

bool pull_pattern::names(entity_id attribute) const {
    return std::any_of(specs.begin(), specs.end(), [&](const pull_spec& s) {
        return s.what && !s.reverse && s.what->id == attribute;
    });
}

pull_pattern parse_pull(const value& pattern,
                        const schema& attributes,
                        const query_options& options) {
    return datalog::with_places(pattern, "the pattern: ", [&](const value& read) {
        return pull_parser(attributes, options).pattern(read);
    });
}

}  // namespace tributary::datom
