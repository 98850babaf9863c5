//! A proxy of the environment: it would get the operator's token, and be a part of what is measured.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::bench::Bench;

const TINY: &str = r#"about = "Nothing but orders."
start = 20
stages = [{ duration = "2s", rate = 20 }]
warm_up = "0s"
drain = "20s"
customers = 2
mix = { place = 1 }
provider = { latency = "constant:5ms" }
"#;

/// A proxy that hangs up on everybody, and how many have come.
fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let met = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&met);
    thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::Relaxed);
            drop(stream);
        }
    });
    (url, met)
}

#[tokio::test]
async fn no_proxy_of_the_environment_sees_a_request() {
    let bench = Bench::new();
    let scenario = bench.file("tiny.toml", TINY);
    let (url, met) = proxy();
    let names = ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"];
    let set: Vec<(&str, &str)> = names.iter().map(|name| (*name, url.as_str())).collect();
    let systems = ["-s", "microservices-sync"];
    let output = bench.call_with(&set, &[&["run", &scenario][..], &systems].concat()).await;
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("audit true"), "{told}");
    assert_eq!(met.load(Ordering::Relaxed), 0, "somebody asked the proxy");
    bench.is_deserted();
}
