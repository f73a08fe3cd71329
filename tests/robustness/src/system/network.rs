//! A network for three members in namespaces of their own, which can be taken apart.
//!
//! Each member has two links: one to a bridge on which the members talk to each other, one to a bridge on which clients
//! reach them. So a member can lose the others and keep its clients, or the other way round. All of it is inside the
//! network namespace that this process runs in, which has to be one of its own: nothing outside is touched, and all of it
//! goes when the processes have ended.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use anyhow::{Result, bail};
use portcullis_storage_testing::etcd::Place;

/// Which of a member's links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// To the other members.
    Peers,
    /// To clients.
    Clients,
}

impl Link {
    fn letter(self) -> &'static str {
        match self {
            Self::Peers => "p",
            Self::Clients => "c",
        }
    }
}

/// See the module.
pub struct Network {
    holders: Vec<Child>,
}

fn ip(arguments: &str) -> Result<()> {
    run(&[], arguments)
}

fn run(before: &[String], arguments: &str) -> Result<()> {
    let ip = "ip".to_owned();
    let mut words = before.iter().chain([&ip]).map(String::as_str).chain(arguments.split(' '));
    let output = Command::new(words.next().unwrap_or("ip")).args(words).output()?;
    if !output.status.success() {
        bail!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn address(link: Link, member: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 255, if link == Link::Peers { 1 } else { 2 }, member + 1)
}

impl Network {
    /// Makes the network.
    ///
    /// # Errors
    /// If the machine has no such namespaces, or this process may not make them.
    pub fn make(members: u8) -> Result<Self> {
        ip("link set lo up")?;
        for link in [Link::Peers, Link::Clients] {
            let letter = link.letter();
            ip(&format!("link add br-{letter} type bridge"))?;
            ip(&format!("link set br-{letter} up"))?;
        }
        ip("addr add 10.255.2.254/24 dev br-c")?;
        let mut network = Self { holders: Vec::new() };
        for member in 0..members {
            // It keeps the namespace while the member is dead.
            let holder = Command::new("unshare")
                .args(["--net", "sleep", "infinity"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn()?;
            let pid = holder.id();
            network.holders.push(holder);
            network.enter(member)?;
            let inside = command(pid);
            for link in [Link::Peers, Link::Clients] {
                let letter = link.letter();
                ip(&format!("link add {letter}{member} type veth peer name e{letter} netns {pid}"))?;
                ip(&format!("link set {letter}{member} master br-{letter} up"))?;
                run(&inside, &format!("addr add {}/24 dev e{letter}", address(link, member)))?;
                run(&inside, &format!("link set e{letter} up"))?;
            }
            run(&inside, "link set lo up")?;
        }
        Ok(network)
    }

    /// Waits until the holder of a member's namespace is in it.
    fn enter(&self, member: u8) -> Result<()> {
        let own = std::fs::read_link("/proc/self/ns/net")?;
        let pid = self.holders[usize::from(member)].id();
        for _ in 0..200 {
            if std::fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|theirs| theirs != own) {
                return Ok(());
            }
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
        bail!("unshare made no network namespace")
    }

    /// Where the members run.
    pub fn places(&self) -> Vec<Place> {
        let place = |(member, holder): (u8, &Child)| Place {
            address: address(Link::Clients, member),
            peer_address: address(Link::Peers, member),
            command: command(holder.id()),
        };
        (0..).zip(&self.holders).map(place).collect()
    }

    /// Cuts a member's link, or mends it.
    ///
    /// # Errors
    /// If `ip` does not do it.
    pub fn set(&self, link: Link, member: usize, up: bool) -> Result<()> {
        let state = if up { "up" } else { "down" };
        ip(&format!("link set {}{member} {state}", link.letter()))
    }
}

fn command(pid: u32) -> Vec<String> {
    vec!["nsenter".to_owned(), format!("--net=/proc/{pid}/ns/net")]
}

impl Drop for Network {
    fn drop(&mut self) {
        for holder in &mut self.holders {
            // One that has ended already is as dead.
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}
