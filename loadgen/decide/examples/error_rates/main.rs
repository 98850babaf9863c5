//! Prints the tables of docs/methodology/decide.md: `cargo run --release -p decide --example error_rates [FAMILIES]`.
#![expect(clippy::print_stdout, reason = "it is what it is for")]

mod simulate;

use simulate::{Noise, Truth, alike_at_the_margin, alone, families, wrong_controls};

const BLOCKS: [u32; 4] = [7, 9, 12, 20];
const NULL: Truth = Truth { trues: 0, beyond: 0.0, doubt: 0.0 };
/// So far beyond its bound a claim is found nearly always.
const FAR: f64 = 4.0;

fn main() {
    let number = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2_000);
    false_alarms(number);
    controls(number);
    power(number);
    enough(number);
}

fn false_alarms(number: usize) {
    println!("{number} families of 30 claims\n");
    println!(
        "| blocks | noise | told alone | any of 30 told | of 30, 15 true: false of told | the same, any false | the same with doubt: false of told | alike told at the margin |"
    );
    println!("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for blocks in BLOCKS {
        for noise in Noise::ALL {
            let half = |doubt| Truth { trues: 15, beyond: FAR, doubt };
            let mixed = families(number, blocks, noise, half(0.0));
            let shares = [
                alone(10 * number, blocks, noise, NULL).false_alone,
                families(number, blocks, noise, NULL).any_false,
                mixed.false_of_told,
                mixed.any_false,
                families(number, blocks, noise, half(0.5)).false_of_told,
                alike_at_the_margin(10 * number, blocks, noise),
            ];
            println!("| {blocks} | {noise:?} | {} |", shares.map(percent).join(" | "));
        }
    }
}

fn controls(number: usize) {
    println!("\n| blocks | noise | A/A told to differ | 2.3 standard deviations not found |");
    println!("| ---: | --- | ---: | ---: |");
    for blocks in BLOCKS {
        for noise in Noise::ALL {
            let (nothing, difference) = wrong_controls(10 * number, blocks, noise, 2.3);
            println!("| {blocks} | {noise:?} | {} | {} |", percent(nothing), percent(difference));
        }
    }
}

/// Of 30 claims so many are true: the fewer, the harder.
const TRUES: [usize; 3] = [5, 15, 25];
const BEYOND: [f64; 5] = [0.5, 1.0, 1.5, 2.0, 3.0];

fn power(number: usize) {
    println!(
        "\n| true difference beyond the bound | noise | blocks | found alone | of 30, 5 true | 15 true | 25 true |"
    );
    println!("| ---: | --- | ---: | ---: | ---: | ---: | ---: |");
    for beyond in BEYOND {
        for noise in Noise::ALL {
            for blocks in BLOCKS {
                let of = |trues| Truth { trues, beyond, doubt: 0.0 };
                let single = alone(2 * number, blocks, noise, of(1)).found;
                let among = TRUES.map(|trues| families(number / 4, blocks, noise, of(trues)).found);
                let all = [[single].as_slice(), &among].concat();
                let all: Vec<String> = all.into_iter().map(percent).collect();
                println!("| {beyond} σ | {noise:?} | {blocks} | {} |", all.join(" | "));
            }
        }
    }
}

/// The fewest blocks from which on a true difference is found in 80 of 100 runs.
fn enough(number: usize) {
    println!("\n| true difference beyond the bound | alone | of 30, 5 true | 15 true | 25 true |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    for beyond in BEYOND {
        let of = |trues| Truth { trues, beyond, doubt: 0.0 };
        let single = least(|blocks| alone(2 * number, blocks, Noise::Normal, of(1)).found);
        let among = TRUES.map(|trues| {
            least(|blocks| families(number / 10, blocks, Noise::Normal, of(trues)).found)
        });
        let all: Vec<String> = std::iter::once(single).chain(among).collect();
        println!("| {beyond} σ | {} |", all.join(" | "));
    }
}

fn least(found: impl Fn(u32) -> f64) -> String {
    let enough = (7..=60).find(|blocks| found(*blocks) >= 0.8);
    enough.map_or_else(|| "more than 60".to_owned(), |blocks| blocks.to_string())
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
