//! Systems that extend others, from files.

use std::path::Path;

use tempfile::TempDir;

use super::SystemSpec;

const BASE: &str = r#"about = "The base."
default = 1
lease = "10s"

[parity]
"tokens" = "HS256"

[[process]]
name = "network"
plays = ["provider"]
command = ["network"]
ready = "http://127.0.0.1:{port:network}/"

[[process]]
name = "shop"
plays = ["orders"]
command = ["shop", "--lease", "{lease}", "--network", "http://{link:network}"]
ready = "http://127.0.0.1:{port:shop}/"
env = { A = "1", B = "2" }

[[link]]
name = "network"
from = ["shop"]
upstream = "127.0.0.1:{port:network}"

[entry]
auth = "http://127.0.0.1:{port:shop}"
orders = "http://127.0.0.1:{port:shop}"
provider = "http://127.0.0.1:{port:network}"

[audit]
orders = "http://127.0.0.1:{port:shop}/orders"
journal = "{outside}/network.jsonl"
"#;
const DIFFERS: &str = "extends = \"base\"\n[variant]\ndiffers = \"it is slow.\"\n";

/// A folder with the base and other files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("base", BASE)].iter().chain(files) {
        std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
    }
    folder
}

fn read(folder: &Path, name: &str) -> Result<SystemSpec, String> {
    let path = folder.join(format!("{name}.toml"));
    SystemSpec::read(&path.to_string_lossy()).map_err(|error| error.to_string())
}

/// A variant with this beside its sentence comes out with this error, told of this file and line.
#[track_caller]
fn refused(rest: &str, place: &str, part: &str) {
    let folder = folder(&[("mine", &format!("{DIFFERS}{rest}"))]);
    let told = read(folder.path(), "mine").unwrap_err();
    assert!(told.contains(&format!("/{place}: ")) && told.contains(part), "{told}");
}

fn process<'s>(system: &'s SystemSpec, name: &str) -> &'s super::ProcessSpec {
    system.processes.iter().find(|process| process.name == name).unwrap()
}

#[test]
fn a_variant_is_its_base_but_for_what_it_says() {
    let text = format!(
        "lease = \"4s\"\nexpect_violation = \"stuck\"\n{DIFFERS}[parity]\n\"more\" = \"x\"\n\
         [change.shop]\narguments = {{ \"--lease\" = \"9s\", \"--slow\" = true }}\nenv = {{ B = false, C = \"3\" }}\n\
         [entry]\nauth = \"http://x\"\n"
    );
    let folder = folder(&[("mine", &text)]);
    let (base, mine) = (read(folder.path(), "base").unwrap(), read(folder.path(), "mine").unwrap());
    assert_eq!((mine.name.as_str(), mine.about.as_str()), ("mine", "As base, but it is slow."));
    assert_eq!(mine.differs, "it is slow");
    assert!(mine.extends(&base) && !base.extends(&mine));
    assert_eq!(mine.lease.unwrap().to_string(), "4s");
    assert_eq!((base.default, mine.default), (Some(1), None), "a place is nobody else's");
    assert_eq!(mine.parity.len(), 2);
    let shop = process(&mine, "shop");
    let command = ["shop", "--lease", "9s", "--network", "http://{link:network}", "--slow"];
    assert_eq!(shop.command, command);
    assert_eq!(shop.env.keys().collect::<Vec<_>>(), ["A", "C"]);
    assert_eq!(mine.entry.auth.first(), "http://x");
    assert_eq!(mine.entry.orders, base.entry.orders);
    assert_eq!(process(&mine, "network"), process(&base, "network"));
}

#[test]
fn processes_are_added_like_others_and_removed_with_their_links() {
    let twin = format!(
        "{DIFFERS}[add.twin]\nlike = \"shop\"\nplays = []\nready = \"http://127.0.0.1:{{port:twin}}/\"\n\
         [add.cache]\nbefore = \"shop\"\nplays = []\ncommand = [\"cache\"]\nready = \"http://x/\"\n"
    );
    let gone = "extends = \"twin\"\n[variant]\ndiffers = \"x\"\nremove_processes = [\"twin\"]\n";
    let alone = format!(
        "{gone}remove_links = [\"network\"]\n[change.shop]\narguments = {{ \"--network\" = \"http://x\" }}\n"
    );
    let folder = folder(&[("twin", &twin), ("gone", gone), ("alone", &alone)]);
    let names = |system: &SystemSpec| -> Vec<String> {
        system.processes.iter().map(|process| process.name.clone()).collect()
    };
    let twin = read(folder.path(), "twin").unwrap();
    assert_eq!(names(&twin), ["network", "cache", "shop", "twin"]);
    assert_eq!(twin.links[0].from, ["shop", "twin"], "it goes where the other goes");
    let gone = read(folder.path(), "gone").unwrap();
    assert_eq!(names(&gone), ["network", "cache", "shop"]);
    assert_eq!(gone.links[0].from, ["shop"]);
    assert_eq!(gone.family.len(), 2, "{:?}", gone.family);
    assert!(read(folder.path(), "alone").unwrap().links.is_empty());
}

#[test]
fn what_does_not_fit_is_told_with_file_and_line() {
    refused("[change.shp]\nplays = []\n", "mine.toml:4", "did you mean \"shop\"?");
    refused("[change.shop]\nreddy = \"x\"\n", "mine.toml:5", "did you mean `ready`?");
    refused("[change.shop]\nlike = \"network\"\n", "mine.toml:5", "[add.NAME]");
    refused("[add.shop]\nplays = []\n", "mine.toml:4", "change it with [change.shop]");
    refused("[add.twin]\nlike = \"shp\"\n", "mine.toml:5", "did you mean \"shop\"?");
    refused("[add.twin]\nplays = []\n", "mine.toml:4", "missing key `command`");
    refused("remove_links = [\"netwrok\"]\n", "mine.toml:4", "did you mean \"network\"?");
    refused("remove_processes = [\"x\", \"shopp\"]\n", "mine.toml:4", "has no process \"x\"");
    refused(
        "[[link]]\nname = \"a\"\nfrom = [\"shp\"]\nupstream = \"x:1\"\n",
        "mine.toml:4",
        "did you mean \"shop\"?",
    );
    refused("[[process]]\nname = \"a\"\n", "mine.toml:4", "unknown key `process`");
    refused("[change.shop]\ncommand = []\n", "mine.toml:4", "the command is empty");
    refused(
        "[[link]]\nname = \"network\"\nfrom = []\nupstream = \"x:1\"\n",
        "mine.toml:4",
        "is not in that link's from",
    );
    // What the base leaves wrong is told of the base's file.
    refused("remove_links = [\"network\"]\n", "base.toml:14", "has no [[link]]");
}

#[test]
fn a_base_that_is_unknown_or_goes_in_a_circle_is_refused() {
    let extends = |base: &str| format!("extends = \"{base}\"\n[variant]\ndiffers = \"x\"\n");
    let files = [("a", extends("b")), ("b", extends("a")), ("own", extends("own"))];
    let files = files.iter().map(|(name, text)| (*name, text.as_str())).collect::<Vec<_>>();
    let folder = folder(&files);
    let told = read(folder.path(), "a").unwrap_err();
    assert!(told.contains("/b.toml:1: extends goes in a circle: a → b → a"), "{told}");
    assert!(read(folder.path(), "own").unwrap_err().contains("circle: own → own"));
    for (base, part) in [("bsae", "no such file"), ("./bsae.toml", "there is no file")] {
        std::fs::write(folder.path().join("lost.toml"), extends(base)).unwrap();
        let told = read(folder.path(), "lost").unwrap_err();
        assert!(told.contains("/lost.toml:1: extends: ") && told.contains(part), "{told}");
    }
    std::fs::write(folder.path().join("path.toml"), extends("./base.toml")).unwrap();
    assert!(read(folder.path(), "path").is_ok());
    let unsaid = "extends = \"base\"\n[variant]\ndiffers = \" \"\n";
    std::fs::write(folder.path().join("unsaid.toml"), unsaid).unwrap();
    assert!(read(folder.path(), "unsaid").unwrap_err().contains("/unsaid.toml:3: variant.differs"));
}

#[test]
fn a_file_without_a_base_tells_lines_too() {
    let folder = folder(&[
        ("network", &BASE.replace("\"provider\"", "\"other\"")),
        ("role", &BASE.replace("\"orders\"]", "\"link:a\"]")),
        ("disk", &BASE.replace("\"orders\"]", "\"disk\"]")),
        ("lease", &BASE.replace("lease = \"10s\"\n", "")),
    ]);
    let told = |name| read(folder.path(), name).unwrap_err();
    assert!(told("network").contains("no process plays \"provider\""));
    assert!(
        told("role").contains("role.toml:14: process \"shop\" plays \"link:a\""),
        "{}",
        told("role")
    );
    assert!(told("disk").contains("and not \"disk\""), "{}", told("disk"));
    assert!(
        told("lease").contains("lease.toml:13: process \"shop\" names {lease}"),
        "{}",
        told("lease")
    );
}

#[test]
fn replicas_are_numbered_wherever_the_index_stands() {
    let many = BASE
        .replace("name = \"shop\"", "name = \"shop\"\nreplicas = 2\ndata = [\"{data}/{index}.db\"]")
        .replace("[\"orders\"]", "[\"orders\", \"replica-{index}\"]")
        .replace(
            "ready = \"http://127.0.0.1:{port:shop}/\"",
            "ready = \"http://127.0.0.1:{port:shop-{index}}/\"",
        );
    let named = many
        .replace("name = \"shop\"", "name = \"{index}-shop\"")
        .replace("[\"shop\"]", "[\"{index}-shop\"]");
    let alone = many.replace("{port:shop-{index}}", "{port:shop}");
    let none = many.replace("replicas = 2", "replicas = 0");
    let single = many.replace("replicas = 2\n", "");
    let folder = folder(&[
        ("many", &many),
        ("named", &named),
        ("alone", &alone),
        ("none", &none),
        ("single", &single),
    ]);
    let spec = read(folder.path(), "many").unwrap();
    let shops = [process(&spec, "shop-1"), process(&spec, "shop-2")];
    assert_eq!(
        shops.map(|shop| shop.ready.as_str()),
        ["http://127.0.0.1:{port:shop-1}/", "http://127.0.0.1:{port:shop-2}/"]
    );
    assert_eq!(shops.map(|shop| shop.plays.join(" ")), ["orders replica-1", "orders replica-2"]);
    assert_eq!(shops.map(|shop| shop.data[0].as_str()), ["{data}/1.db", "{data}/2.db"]);
    assert_eq!(spec.links[0].from, ["shop-1", "shop-2"]);
    assert_eq!(spec.players("orders").len(), 2, "a fault of the role harms both");
    let named = read(folder.path(), "named").unwrap();
    assert_eq!(named.links[0].from, ["1-shop", "2-shop"]);
    let told = |name| read(folder.path(), name).unwrap_err();
    assert!(
        told("alone").contains("/alone.toml:14: ")
            && told("alone").contains("listen at one address")
    );
    assert!(told("none").contains("0 replicas; expected 1 to 64"));
    assert!(told("single").contains("but there is no replicas = 2"), "{}", told("single"));
}

#[test]
fn starts_and_ends_are_checked() {
    let ready = "ready = \"http://127.0.0.1:{port:shop}/\"";
    let odd = BASE.replace(ready, "ready = \"127.0.0.1:80\"");
    let codes = BASE.replace(ready, &format!("{ready}\nstop = {{ exit_codes = [] }}"));
    let signal = BASE.replace(ready, &format!("{ready}\nstop = {{ signal = \"SIGTRM\" }}"));
    let secret = BASE
        .replace(ready, &format!("{ready}\ninit = {{ command = [\"a\", \"{{secret:token}}\"] }}"));
    let lists = BASE.replace("orders = \"http://127.0.0.1:{port:shop}\"", "orders = []");
    let folder = folder(&[
        ("odd", &odd),
        ("codes", &codes),
        ("signal", &signal),
        ("secret", &secret),
        ("lists", &lists),
    ]);
    let told = |name| read(folder.path(), name).unwrap_err();
    assert!(told("odd").contains("or tcp://HOST:PORT"));
    assert!(told("codes").contains("expected [0]"));
    assert!(told("signal").contains("did you mean `SIGTERM`?"), "{}", told("signal"));
    assert!(told("secret").contains("a secret may stand in env alone"));
    assert!(told("lists").contains("entry.orders is an empty list"));
}
