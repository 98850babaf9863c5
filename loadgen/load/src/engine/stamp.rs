//! When bytes arrived, by the kernel's own time stamp: an answer is done when it is there, not when
//! the generator's thread has woken up to read it.

use std::io::{self, IoSliceMut};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};

/// Room for one time stamp's control message.
const CONTROL_BYTES: usize = 64;
/// An older stamp is none of an answer that was just read: the wall clock was set meanwhile.
const OLDEST: Duration = Duration::from_secs(1);

/// Asks the kernel to stamp what arrives. It begins a moment later where nobody has asked before: the
/// first reads may find no stamp.
pub(super) fn enable(stream: &TcpStream) {
    let _ = setsockopt(stream, sockopt::ReceiveTimestampns, &true);
}

/// Reads; the number of bytes, and when the kernel got the last of them, on the wall clock.
pub(super) fn read(
    stream: &TcpStream,
    buffer: &mut [u8],
) -> io::Result<(usize, Option<SystemTime>)> {
    let mut parts = [IoSliceMut::new(buffer)];
    let mut control = [0; CONTROL_BYTES];
    let message =
        recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty())?;
    let mut stamps = message.cmsgs().into_iter().flatten();
    let stamp = stamps.find_map(|c| match c {
        ControlMessageOwned::ScmTimestampns(at) => Some(UNIX_EPOCH + Duration::from(at)),
        _ => None,
    });
    Ok((message.bytes, stamp))
}

/// How long ago a stamp was made. None if the clock was set meanwhile.
pub(super) fn age(stamp: SystemTime) -> Option<Duration> {
    SystemTime::now().duration_since(stamp).ok().filter(|age| *age < OLDEST)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn a_stamp_is_of_the_arrival_and_not_of_the_reading() {
        let (near, mut far) = pair();
        enable(&near);
        let deadline = SystemTime::now() + Duration::from_secs(10);
        loop {
            let before = SystemTime::now();
            far.write_all(b"answer").unwrap();
            // Loopback delivers within the write; whatever passes until the reading is none of it.
            let after = SystemTime::now();
            std::thread::yield_now();
            let mut buffer = [0; 16];
            let (count, stamp) = read(&near, &mut buffer).unwrap();
            assert_eq!(&buffer[..count], b"answer");
            if let Some(stamp) = stamp {
                assert!(before <= stamp && stamp <= after, "{before:?} {stamp:?} {after:?}");
                return;
            }
            assert!(after < deadline, "the kernel never stamps");
        }
    }

    #[test]
    fn a_strange_stamp_has_no_age() {
        let now = SystemTime::now();
        assert!(age(now).is_some());
        assert_eq!(age(now + Duration::from_secs(5)), None, "from the future");
        assert_eq!(age(now - Duration::from_secs(5)), None);
    }

    #[test]
    fn an_end_is_no_bytes() {
        let (near, far) = pair();
        enable(&near);
        drop(far);
        assert_eq!(read(&near, &mut [0; 4]).unwrap().0, 0);
    }
}
