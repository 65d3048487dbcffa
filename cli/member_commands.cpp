// Commands about who may do what: create, grant, revoke, members, rotate.

#include "tributary/value/instant.hpp"

#include <algorithm>

#include "output.hpp"
#include <iostream>

namespace tributary::cli {

namespace {

/// What `text` is to be, in `what` of a command line.
public_key key_from(const std::string& what, const std::string& text) {
    try {
        return public_key::from_hex(text);
    } catch (const error&) {
        throw usage_error(
            what + " is the 64 hexadecimal digits that trib id prints there, found " + text);
    }
}

void add_create(CLI::App& app, session& s) {
    auto* command =
        add_command(app, "create", "Create a CDVCS and print its address", "trib create tweets");
    auto name = std::make_shared<std::string>();
    auto options = std::make_shared<create_options>();
    options->owner_name = user_name();
    auto owners = std::make_shared<std::vector<std::string>>();
    auto listed_read = std::make_shared<bool>(false);
    command->add_option("NAME", *name, "its name here")->required();
    command
        ->add_option("--as", options->owner_name, "the name readers see where my key would be")
        ->capture_default_str();
    add_choice(command,
               "--write",
               options->open_write,
               {{"listed", false}, {"open", true}},
               "who may write: those who are granted it (the default), or anyone");
    add_choice(command,
               "--read",
               *listed_read,
               {{"public", false}, {"listed", true}},
               "who may read: anyone (the default), or those who are granted something");
    command->add_option("--owner", *owners, "a key that is an owner from the beginning, beside mine");
    command->callback([=, &s] {
        s.action = [=, &s] {
            options->public_read = !*listed_read;
            options->owners.clear();
            for (const std::string& text : *owners)
                options->owners.push_back(key_from("--owner", text));
            std::cout << address_of(s.open_or_make()->create(*name, *options)) << '\n';
            return ok;
        };
    });
}

void add_grant(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "grant",
                                "Let another key write; or only read; or own, which is to grant "
                                "and revoke, too",
                                "trib grant tweets $(ssh laptop trib id) --name ann");
    auto name = std::make_shared<std::string>();
    auto key = std::make_shared<std::string>();
    auto member = std::make_shared<std::string>();
    auto granted = std::make_shared<right>(right::write);
    command->add_option("CRDT", *name)->required();
    command->add_option("KEY", *key, "the other's `trib id`: 64 hexadecimal digits")->required();
    command->add_option("--name", *member, "what readers see where the key would be")->required();
    add_choice(command,
               "--right",
               *granted,
               {{"read", right::read}, {"write", right::write}, {"owner", right::owner}},
               "each includes those before it (default: write)");
    command->callback([=, &s] {
        s.action = [=, &s] {
            if (member->empty())
                throw error(
                    errc::misuse,
                    "--name must not be empty: it is what readers see where the key would be");
            const public_key to = key_from("KEY", *key);
            s.open()->grant(*name, to, *member, *granted);
            constexpr const char* may[] = {" may read ", " may write to ", " is an owner of "};
            std::cout << *member << " (" << to.brief() << ")"
                      << may[static_cast<int>(*granted) - 1] << *name << '\n';
            return ok;
        };
    });
}

/// By its key, the beginning of it, or its name; a name is first that of who is not revoked.
member_view find_member(stage& replica, const std::string& crdt, const std::string& who) {
    std::vector<member_view> found;
    for (const member_view& m : replica.members(crdt))
        if (m.name == who || (who.size() >= 4 && m.key.hex().starts_with(who))) found.push_back(m);
    if (found.size() > 1 && !found.front().last_seq)
        std::erase_if(found, [](const member_view& m) { return m.last_seq.has_value(); });
    if (found.size() == 1) return found.front();
    if (found.empty() && who.size() == 64) {
        member_view stranger;
        stranger.key = key_from("WHO", who);
        return stranger;
    }
    throw error(found.empty() ? errc::not_found : errc::misuse,
                "\"" + who + "\" is " + (found.empty() ? "no member" : "not one member") + " of \"" +
                    crdt + "\"" + (found.empty() ? "" : "; give the key") +
                    "; see: trib members " + crdt);
}

std::string shown(const std::string& name, const public_key& key) {
    return name.empty() ? key.brief() : name + " (" + key.brief() + ")";
}

void add_revoke(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "revoke",
                                "Take all rights from a key, for ever",
                                "trib revoke tweets ann");
    auto name = std::make_shared<std::string>();
    auto who = std::make_shared<std::string>();
    auto last_seq = std::make_shared<std::optional<std::uint64_t>>();
    command->add_option("CRDT", *name)->required();
    command->add_option("WHO", *who, "a member's name, key, or the beginning of it")->required();
    command->add_option("--last-seq",
                        *last_seq,
                        "its last commit that counts, whoever builds on others; trib members says "
                        "how many are known (default: all those)");
    command->callback([=, &s] {
        s.action = [=, &s] {
            const auto replica = s.open();
            const member_view m = find_member(*replica, *name, *who);
            const std::uint64_t last = replica->revoke(*name, m.key, *last_seq);
            std::cout << shown(m.name, m.key) << " is revoked in " << *name << " after its commit "
                      << last << '\n';
            return ok;
        };
    });
}

void add_members(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "members",
                                "Who may do what, since when and by whom, and who was revoked",
                                "trib members tweets");
    auto name = std::make_shared<std::string>();
    command->add_option("CRDT", *name)->required();
    add_format(command, s);
    command->callback([=, &s] {
        s.action = [=, &s] {
            const std::vector<member_view> all = s.open()->members(*name);
            const bool brief = s.output == format::table;
            const auto key_text = [&](const public_key& key) {
                return brief ? key.brief() : key.hex();
            };
            const auto who = [&](const public_key& key) {
                const auto found = std::find_if(
                    all.begin(), all.end(), [&](const member_view& m) { return m.key == key; });
                return brief && found != all.end() && !found->name.empty() ? found->name
                                                                           : key_text(key);
            };
            std::vector<std::vector<value>> rows;
            for (const member_view& m : all)
                rows.push_back({m.name,
                                m.key.hex(),
                                m.last_seq ? value("revoked") : value(m.right),
                                m.since_ms ? value(inst{m.since_ms}) : value(),
                                m.by == m.key ? value() : value(who(m.by)),
                                m.commits,
                                m.last_seq ? value(*m.last_seq) : value(),
                                m.revoked_by ? value(who(*m.revoked_by)) : value()});
            print_rows(s.output,
                       {"name", "key", "right", "since", "by", "commits", "last seq", "revoked by"},
                       rows);
            return ok;
        };
    });
}

void add_rotate(CLI::App& app, session& s) {
    auto* command = add_command(app,
                                "rotate",
                                "Make this store a new key, which takes over the rights of the old "
                                "one in every CRDT here, and print it",
                                "trib rotate");
    command->callback([=, &s] {
        s.action = [=, &s] {
            const rotation done = s.open()->rotate();
            std::cout << done.to.hex() << '\n';
            for (const std::string& name : done.crdts)
                log_line(name + ": handed over; peers know once they have synced");
            for (const std::string& name : done.left)
                log_line(name + ": the old key could only read, so ask an owner: trib grant " +
                             name + " " + done.to.hex() + " --right read --name YOURS",
                         "warn");
            return ok;
        };
    });
}

}  // namespace

void add_member_commands(CLI::App& app, session& s) {
    add_create(app, s);
    add_grant(app, s);
    add_revoke(app, s);
    add_members(app, s);
    add_rotate(app, s);
}

}  // namespace tributary::cli
