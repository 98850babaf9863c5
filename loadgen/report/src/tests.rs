//! The report of an invented run, held against snapshots, and of broken records.

use std::fs;
use std::path::Path;

use super::{Paths, write};
use record::ledger::{ChargeRow, Ledger};
use record::read::Run;
use record::{Answer, FaultRecovery, Manifest, Operation, Recovery, Verdict, seal};

#[track_caller]
fn invented(scenario: &str, system: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let wanted = |one: &str, other: &str| one == scenario && other == system;
    record_fixture::write_some(&folder.path().join("run"), wanted).unwrap();
    folder
}

/// The page's words: what is between tags, without styles and pictures.
fn visible(html: &str) -> String {
    let body = html.split_once("<body>").unwrap().1;
    let body = body.split_once("<script").map_or(body, |(body, _)| body);
    let pieces = body.split('<').filter_map(|piece| piece.split_once('>'));
    let lines = pieces.map(|(tag, text)| {
        let end = if matches!(
            tag,
            "/tr" | "/p" | "/li" | "/h1" | "/h2" | "/h3" | "/h4" | "/dd" | "/pre" | "/summary"
        ) {
            "\n"
        } else {
            " "
        };
        format!("{text}{end}")
    });
    let text: String = lines.collect();
    let tidy = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    tidy.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn listing(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn the_report_of_an_invented_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    record_fixture::write(&run).unwrap();
    let Paths { summary, html, readme, charts, audits } = write(&run).unwrap();
    insta::assert_snapshot!("summary", fs::read_to_string(&summary).unwrap());
    insta::assert_snapshot!("readme", fs::read_to_string(&readme).unwrap());
    let page = fs::read_to_string(&html).unwrap();
    insta::assert_snapshot!("html", visible(&page));
    is_one_file(&page);
    let live = page.matches("<div class=\"live\"").count();
    assert_eq!((live, page.matches("<noscript>").count()), (15, 15), "five kinds, three scenarios");
    assert!(!audits.is_empty() && audits.iter().all(|page| page.exists()));
    for page_of_trial in &audits {
        let link =
            page_of_trial.strip_prefix(&run).unwrap().display().to_string().replace('/', "&#x2f;");
        assert!(page.contains(&format!("href=\"{link}\"")), "{link}");
    }
    assert!(charts.iter().all(|chart| fs::read(chart).unwrap().starts_with(b"\x89PNG")));
    let unfinished = |name: &String| name.starts_with('.');
    assert!(!listing(&run).iter().chain(&listing(&run.join("charts"))).any(unfinished));
}

/// Nothing is fetched but pictures that are named beside the page, for those without scripts.
#[track_caller]
fn is_one_file(page: &str) {
    for fetched in ["src=\"http", "href=\"http", "url(", "@import", "fetch(", "<link", "base64"] {
        assert!(!page.contains(fetched), "{fetched}");
    }
    let sources = page.split("src=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    assert!(sources.into_iter().all(|source| source.starts_with("charts&#x2f;")));
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
}

/// What the script is given for one chart of a report.
fn chart_data(run: &Path, anchor: &str) -> serde_json::Value {
    let page = fs::read_to_string(write(run).unwrap().html).unwrap();
    let data = page.split_once("id=\"chart-data\">").unwrap().1.split_once("</script>").unwrap().0;
    let mut charts: serde_json::Value = serde_json::from_str(data).unwrap();
    charts[anchor].take()
}

/// The monolith refuses everybody within a millisecond while payments is dead.
#[test]
fn a_refusal_is_not_drawn_as_a_fast_answer() {
    let folder = invented("payment-outage", "monolith");
    let data = chart_data(&folder.path().join("run"), "payment-outage-response");
    let line = |name: &str| {
        let lines = data["lines"].as_array().unwrap();
        lines.iter().position(|line| line["name"] == name).unwrap()
    };
    let at = |name: &str, second: usize| &data["panels"][0]["y"][line(name)][second];
    assert!(at("p50 until accepted", 20).is_number() && at("not ok", 20) == 0.0);
    assert!(at("p50 until accepted", 33).is_null() && at("not ok", 33) == 1.0);
    let bands = data["panels"][0]["bands"].as_array().unwrap();
    assert_eq!((bands.len(), &bands[0]["is_fault"]), (1, &serde_json::json!(true)));
}

#[test]
fn the_parts_of_a_second_add_up_to_what_was_asked() {
    let folder = invented("payment-outage", "microservices-sync");
    let run = folder.path().join("run");
    let data = chart_data(&run, "payment-outage-arrivals");
    let parts = &data["panels"][0]["y"];
    let sum: f64 = (0..5).map(|part| parts[part][30].as_f64().unwrap()).sum();
    let trial = &Run::read(&run).unwrap().trials[0];
    let asked =
        trial.timeline.iter().find(|row| row.t_s == 30 && row.operation == Operation::Place);
    assert!((sum - asked.unwrap().offered as f64).abs() < 1.0, "{sum}");
}

#[test]
fn a_name_does_not_end_the_element_that_the_data_stand_in() {
    let folder = invented("steady", "monolith");
    let run = folder.path().join("run");
    for trial in 1..=3 {
        let path = run.join(format!("steady/monolith/{trial}/manifest.json"));
        let manifest: Manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let system = "</script><b>".to_owned();
        fs::write(&path, serde_json::to_vec(&Manifest { system, ..manifest }).unwrap()).unwrap();
    }
    let data = chart_data(&run, "steady-response");
    assert_eq!(data["panels"][0]["name"], "</script><b>");
}

#[test]
fn a_second_report_of_the_same_record_is_the_same() {
    let folder = invented("spike", "microservices-sync");
    let run = folder.path().join("run");
    let first = write(&run).unwrap();
    let page = fs::read(&first.html).unwrap();
    assert_eq!(write(&run).unwrap(), first);
    assert!(fs::read(&first.html).unwrap() == page);
}

/// Charges the first order of the record in `folder` twice and says so in its verdict.
fn offend(folder: &Path) {
    let mut ledger = Ledger::read(folder).unwrap();
    let again = ChargeRow { charge_id: Some("again".to_owned()), ..ledger.charges[0].clone() };
    ledger.charges.push(ChargeRow { at_us: again.at_us + 5_000, ..again });
    ledger.write(folder).unwrap();
    let path = folder.join("audit.json");
    let mut audit: Verdict = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    (audit.verdict, audit.safety) = (Answer::False, Answer::False);
    let double = audit.violations.iter_mut().find(|found| found.class == "double-charge");
    if let Some(double) = double {
        (double.count, double.examples) = (1, vec![ledger.charges[0].key.clone()]);
    }
    let fault = FaultRecovery {
        kind: "kill".to_owned(),
        harm: "payments".to_owned(),
        healed_s: 40.9,
        recovered_after_s: Some(2.0),
        backlog: 1_700,
        drained_after_s: Some(8.0),
        completed_per_s: Some(330.0),
        offered_per_s: Some(112.0),
        drain_predicted_s: Some(7.8),
        ..FaultRecovery::default()
    };
    audit.recovery = Some(Recovery { faults: vec![fault], ..Recovery::default() });
    fs::write(&path, serde_json::to_vec(&audit).unwrap()).unwrap();
}

#[test]
fn the_audit_of_an_invented_trial() {
    let folder = invented("payment-outage", "microservices-async");
    let run = folder.path().join("run");
    let trial = run.join("payment-outage/microservices-async/1");
    offend(&trial);
    let Paths { audits, .. } = write(&run).unwrap();
    assert_eq!(audits, [trial.join("audit.html")]);
    let page = fs::read_to_string(&audits[0]).unwrap();
    insta::assert_snapshot!("audit", visible(&page));
    assert_eq!(page.matches("data:image/png;base64,").count(), 4);
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<script"));
    assert_eq!(
        listing(&trial.join("charts")),
        ["attempts.png", "backlog.png", "money.png", "rates.png"]
    );
}

/// Removes a file of an invented trial and returns what its page leaves out.
#[track_caller]
fn left_out(name: &str, pictures: usize) -> String {
    let folder = invented("payment-outage", "microservices-async");
    let run = folder.path().join("run");
    let trial = run.join("payment-outage/microservices-async/1");
    fs::remove_file(trial.join(name)).unwrap();
    let Paths { audits, .. } = write(&run).unwrap();
    let page = fs::read_to_string(&audits[0]).unwrap();
    assert_eq!(page.matches("data:image/png;base64,").count(), pictures);
    visible(&page).lines().filter(|line| line.contains("left out:")).collect()
}

#[test]
fn what_a_record_lacks_is_left_out_and_said() {
    let missing = "No such file or directory (os error 2).";
    assert_eq!(
        left_out("history.csv.zst", 2),
        format!("Attempts and money are left out: cannot read history.csv.zst: {missing}")
    );
    assert_eq!(
        left_out("charges.csv.zst", 3),
        format!("Money is left out: cannot read charges.csv.zst: {missing}")
    );
    assert_eq!(left_out("audit.json", 4), "");
}

#[test]
fn a_trial_without_a_manifest_is_named() {
    let folder = invented("steady", "monolith");
    let run = folder.path().join("run");
    fs::remove_file(run.join("steady/monolith/1/manifest.json")).unwrap();
    let read = Run::read(&run).unwrap();
    assert_eq!(read.without_manifest, [Path::new("steady/monolith/1")]);
    assert_eq!(read.trials.len(), 2);
}

#[test]
fn a_stopped_trial_may_end_anywhere() {
    let folder = invented("spike", "microservices-sync");
    let trial = folder.path().join("run/spike/microservices-sync/1");
    for name in ["latency.hlog", "timeline.csv"] {
        let bytes = fs::read(trial.join(name)).unwrap();
        fs::write(trial.join(name), &bytes[..bytes.len() - 9]).unwrap();
    }
    fs::remove_file(trial.join("resources.csv")).unwrap();
    Run::read(&folder.path().join("run")).unwrap();
}

/// Breaks one file of a finished trial and returns what reading the run says about it.
#[track_caller]
fn complaint(name: &str, break_it: impl Fn(&str) -> String) -> String {
    let folder = invented("steady", "monolith");
    let run = folder.path().join("run");
    let file = run.join("steady/monolith/1").join(name);
    fs::write(&file, break_it(&fs::read_to_string(&file).unwrap())).unwrap();
    let error = Run::read(&run).err().unwrap().to_string();
    error.replace(&*run.to_string_lossy(), "RUN")
}

#[test]
fn a_broken_file_is_named_with_line_expectation_and_remedy() {
    let found = complaint("timeline.csv", |text| text.replacen("\n5,place,", "\n5,place,many", 1));
    let begin =
        "RUN/steady/monolith/1/timeline.csv:13: expected a row of the record's table, found ";
    assert!(found.starts_with(begin), "{found}");
    assert!(found.ends_with("remove its trial's folder and run the report again"), "{found}");
}

#[test]
fn a_broken_histogram_is_named_with_its_line() {
    let spoil = |text: &str| text.replacen("Tag=place.ok.lag,3", "Tag=place.lag,3", 1);
    let found = complaint("latency.hlog", spoil);
    assert!(found.contains("latency.hlog:"), "{found}");
    assert!(found.contains("the tag is \"place.lag\""), "{found}");
}

#[test]
fn a_record_of_another_format_is_refused() {
    let newer = |text: &str| {
        let manifest: Manifest = serde_json::from_str(text).unwrap();
        serde_json::to_string(&Manifest { format: 99, ..manifest }).unwrap()
    };
    assert_eq!(
        complaint("manifest.json", newer),
        "RUN/steady/monolith/1/manifest.json: expected a record of format 1 to 2, found format 99: use \
         the revision of the report that belongs to the record"
    );
}

/// One row has another figure, which no reader could tell.
#[test]
fn a_table_that_is_not_the_sealed_one_is_refused() {
    let folder = invented("steady", "monolith");
    let run = folder.path().join("run");
    let trial = run.join("steady/monolith/1");
    let path = trial.join("manifest.json");
    let manifest: Manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let sealed = Manifest { tables: Some(seal::seal(&trial).unwrap()), ..manifest };
    fs::write(&path, serde_json::to_vec(&sealed).unwrap()).unwrap();
    Run::read(&run).unwrap();
    let table = trial.join("timeline.csv");
    let rows = fs::read_to_string(&table).unwrap();
    let row = rows.lines().nth(20).unwrap();
    fs::write(&table, rows.replacen(row, &row.replacen(",0,", ",1,", 1), 1)).unwrap();
    let error = Run::read(&run).err().unwrap().to_string();
    assert!(error.contains("timeline.csv: expected the table that the trial wrote"), "{error}");
}

#[test]
fn a_finished_trial_lacks_no_table() {
    let folder = invented("steady", "monolith");
    let run = folder.path().join("run");
    fs::remove_file(run.join("steady/monolith/1/latency.hlog")).unwrap();
    let error = Run::read(&run).err().unwrap().to_string();
    assert!(
        error.contains("latency.hlog: expected a file that every finished trial has"),
        "{error}"
    );
}

#[test]
fn an_empty_folder_is_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let error = write(folder.path()).err().unwrap().to_string();
    assert!(error.contains("trials as <scenario>/<system>/<trial>"), "{error}");
}
