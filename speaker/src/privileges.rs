//! What makes a speaker punctual on a busy machine, as far as it is granted: real-time priority for
//! the L2 thread (the capability `SYS_NICE`), and memory that is never paged out (`IPC_LOCK`).
//!
//! The default profile does without both. What is not granted is said once, and shown by
//! `bellwether-speaker status`.

use std::fs;
use std::time::Duration;

use bellwether_core::membership::timing::Profile;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use crate::options::RealTime;

/// Of 1 to 99: before all that has none, after what the kernel itself does at 50.
const PRIORITY: u8 = 10;

/// A real-time thread that computes for this long without ever waiting is broken, and would take the
/// whole processor: the kernel ends the process.
const LONGEST_TURN: Duration = Duration::from_secs(5);

/// The numbers of the capabilities (capabilities(7)).
const IPC_LOCK: u32 = 14;
const SYS_NICE: u32 = 23;

/// What the speaker has of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Privileges {
    /// The L2 thread has real-time priority.
    pub real_time: bool,
    /// What the process uses stays in memory.
    pub memory_locked: bool,
}

impl Privileges {
    /// Takes what is granted, as far as `wish` goes. The L2 thread itself has to call
    /// [`take_real_time`], if it may.
    #[must_use]
    pub fn take(wish: RealTime) -> Self {
        if wish == RealTime::Never {
            return Self::default();
        }
        // Tried by a thread that is gone at once: priority belongs to threads.
        let tried = std::thread::spawn(take_real_time).join();
        let real_time = tried.unwrap_or_else(|_| Err("it could not be tried".to_owned()));
        let memory = lock_memory();
        for (missing, capability, number) in [
            (&real_time, "SYS_NICE", SYS_NICE),
            (&memory, "IPC_LOCK", IPC_LOCK),
        ] {
            if let Err(error) = missing {
                let granted = has_capability(&own_status(), number);
                tracing::info!(capability, granted, error, "goes on without");
            }
        }
        Self {
            real_time: real_time.is_ok(),
            memory_locked: memory.is_ok(),
        }
    }

    /// The profile that may be used where `asked` was asked for: a thread without priority is late
    /// too often for the fast one, unless somebody says that theirs is not.
    #[must_use]
    pub fn profile(self, asked: Profile, wish: RealTime) -> Profile {
        if asked == Profile::FAST && wish == RealTime::Auto && !self.real_time {
            tracing::warn!(
                "the profile fast needs real-time priority, so the default is used: grant the \
                 capability SYS_NICE (if it is granted, the control group has no share of real time: \
                 cpu.rt_runtime_us), or say by --real-time=prefer that this machine is never busy"
            );
            return Profile::DEFAULT;
        }
        asked
    }
}

/// Gives the calling thread real-time priority.
pub fn take_real_time() -> Result<(), String> {
    let priority = PRIORITY.try_into().map_err(|error: String| error)?;
    set_thread_priority_and_policy(
        thread_native_id(),
        ThreadPriority::Crossplatform(priority),
        ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo),
    )
    .map_err(|error| format!("{error:?}"))?;
    let limit = u64::try_from(LONGEST_TURN.as_micros()).unwrap_or(u64::MAX);
    setrlimit(Resource::RLIMIT_RTTIME, limit, limit).map_err(|error| error.to_string())
}

/// Keeps in memory what is used, now and later, as it comes to be used: otherwise every thread's
/// whole stack would be.
fn lock_memory() -> Result<(), String> {
    // Without the capability a limit applies, and an allocation beyond it would end the process.
    let (soft, _) = getrlimit(Resource::RLIMIT_MEMLOCK).map_err(|error| error.to_string())?;
    if soft != RLIM_INFINITY && !has_capability(&own_status(), IPC_LOCK) {
        return Err(format!("at most {soft} octets of memory may be locked"));
    }
    let on_fault = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    let flags = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault;
    mlockall(flags).map_err(|error| error.to_string())
}

/// What the kernel says of this process, by proc(5).
fn own_status() -> String {
    fs::read_to_string("/proc/self/status").unwrap_or_default()
}

/// Whether `status`, of proc(5), says that the process has a capability.
fn has_capability(status: &str, number: u32) -> bool {
    let mut lines = status.lines();
    let set = lines.find_map(|line| line.strip_prefix("CapEff:"));
    let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set >> number & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_is_a_bit_of_the_effective_set() {
        let status = "Name:\tx\nCapPrm:\t0000000000004000\nCapEff:\t0000000000002000\n";
        assert!(has_capability(status, 13));
        assert!(!has_capability(status, IPC_LOCK));
        assert!(!has_capability("", IPC_LOCK));
    }

    #[test]
    fn the_fast_profile_needs_priority_or_somebody_who_says_otherwise() {
        for (asked, wish, real_time, used) in [
            (Profile::FAST, RealTime::Auto, true, Profile::FAST),
            (Profile::FAST, RealTime::Auto, false, Profile::DEFAULT),
            (Profile::FAST, RealTime::Prefer, false, Profile::FAST),
            (Profile::FAST, RealTime::Never, false, Profile::FAST),
            (Profile::WIFI, RealTime::Auto, false, Profile::WIFI),
        ] {
            let privileges = Privileges {
                real_time,
                ..Privileges::default()
            };
            assert_eq!(privileges.profile(asked, wish), used, "{wish:?}");
        }
    }

    #[test]
    fn nothing_is_taken_that_is_not_wished() {
        assert_eq!(Privileges::take(RealTime::Never), Privileges::default());
    }

    /// In a thread of its own, which has the priority to its end.
    #[test]
    fn what_is_granted_is_what_the_kernel_says_the_thread_has() {
        let thread = std::thread::spawn(|| {
            let taken = take_real_time().is_ok();
            let stat = fs::read_to_string("/proc/thread-self/stat").expect("proc(5)");
            let fields = stat.rsplit_once(')').expect("a name").1;
            let policy = fields.split_whitespace().nth(38).expect("a policy");
            (taken, policy.to_owned())
        });
        let (taken, policy) = thread.join().expect("no panic");
        assert_eq!(policy, if taken { "1" } else { "0" });
    }
}
