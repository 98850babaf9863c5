//! Systems that extend others, as their users meet them; which systems are meant when none is named.

use crate::bench::{Bench, says};

#[tokio::test]
async fn systems_are_shown_as_families() {
    let bench = Bench::new();
    let output = bench.call(&["list", "--tree"]).await;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let at = |start: &str| lines.iter().position(|line| line.starts_with(start)).expect(start);
    let (base, fenced) = (at("  microservices-async "), at("    control-fenced "));
    assert_eq!(at("      control-no-fence "), fenced + 1, "{text}");
    assert!(base < fenced && fenced < at("  microservices-sync "), "{text}");
    assert!(lines[fenced].contains("there are two payments"), "what differs is told: {text}");
}

/// The role is refused for the first of the default systems, before anything is started.
#[tokio::test]
async fn who_names_no_system_means_the_default_ones_and_a_role_that_none_plays_is_refused() {
    let bench = Bench::new();
    let scenario = bench.file(
        "odd.toml",
        "about = \"x\"\nstart = 20\nstages = [{ duration = \"12s\", rate = 20 }]\nwarm_up = \"1s\"\n\
         mix = { place = 1 }\n[[fault]]\nat = \"2s\"\nfor = \"2s\"\nharm = \"order\"\nkind = \"kill\"\n",
    );
    let output = bench.call(&["run", &scenario]).await;
    let parts = ["odd.toml", "system monolith plays", "\"order\"; did you mean \"orders\"?"];
    says(&output, 1, &parts);
    bench.is_clean();
}

#[tokio::test]
async fn a_variant_without_its_base_is_refused_with_file_and_line() {
    let bench = Bench::new();
    let text = "extends = \"monolit\"\n[variant]\ndiffers = \"x\"\n";
    let system = bench.file("mine.toml", text);
    let output = bench.call(&["run", "steady", "-s", &system]).await;
    says(&output, 1, &["mine.toml:1: extends: no such file; did you mean monolith?"]);
    bench.is_clean();
}
