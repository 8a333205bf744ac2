//! Shows what the operating system says of this process, as Prometheus would see it.

use brolly_metrics_core::{Format, ProcessMonitor, ProcessReader, Profiler, Registry};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new();
    let reader = ProcessReader::with("/", ["/".into()]);
    let monitor = ProcessMonitor::new(&registry, reader)?;

    let profiler = Profiler::new();
    let fill = profiler.start("fill 64 MiB");
    let filled = vec![1_u8; 64 << 20];
    let profile = fill.end();
    println!(
        "{}: {:?}, {:?} bytes",
        profile.name, profile.duration, profile.memory_delta
    );

    // A service does this every few seconds.
    let reading = monitor.sample()?;
    println!(
        "of {} bytes filled, {:?} are used",
        filled.len(),
        reading.used_memory()
    );
    print!("{}", registry.encode(Format::Text));
    Ok(())
}
