//! The sending thread's claim to its core: where the kernel grants it, what else runs there waits, and a
//! request is sent on time whatever the machine is busy with.

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// Gives the calling thread the least real-time priority (`SCHED_FIFO` 1: above everything that has none);
/// whether the kernel let it. It needs `CAP_SYS_NICE` or an `RLIMIT_RTPRIO` of at least 1, and in a control
/// group of cgroup v1 also `cpu.rt_runtime_us`.
#[must_use]
pub fn take_real_time() -> bool {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy).is_ok()
}

/// What a thread does first that watches the sender's core: it takes the same priority.
#[must_use]
pub fn of_watchers(real_time: bool) -> fn() {
    if real_time {
        || {
            // Without it the sender has none either.
            let _ = take_real_time();
        }
    } else {
        || ()
    }
}
