//! What a child that is shut in must not be able to do, by name: the questions of
//! `sluice doctor`. How each is tried is in `child`; what the answers are worth is
//! in `doctor`.

use std::fmt;

use sluice_domain::{Text, text};

macro_rules! attempts {
    ($($name:ident = $number:literal, $stable:literal, $zh:literal, $en:literal;)*) => {
        /// One forbidden thing. The number is its place on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Attempt {
            $(#[doc = concat!("To ", $en, ".")] $name = $number,)*
        }

        impl Attempt {
            /// Every attempt, in the order of the report.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Stable name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $stable),* }
            }

            /// For people.
            pub fn text(self) -> Text {
                match self { $(Self::$name => text($zh, $en)),* }
            }
        }
    };
}

attempts! {
    OpenFile = 1, "open-file", "打开文件", "open a file";
    ListRoot = 2, "list-root", "列出根目录", "list the root folder";
    OpenOwnMemory = 3, "open-own-memory", "打开 /proc/self/mem", "open /proc/self/mem";
    Mount = 4, "mount", "挂载文件系统", "mount a file system";
    InetSocket = 5, "inet-socket", "建立网络套接字", "make an internet socket";
    UnixSocket = 6, "unix-socket", "建立本机套接字", "make a unix socket";
    Connect = 7, "connect", "连接网络", "connect to an address";
    Execute = 8, "execute", "执行程序", "start a program";
    Fork = 9, "fork", "产生进程", "fork a process";
    MapExecutable = 10, "map-executable", "映射可执行页", "map an executable page";
    MakeExecutable = 11, "make-executable", "把页改为可执行", "make a page executable";
    ShareMemory = 12, "share-memory", "建立共享内存", "map shared memory beyond the memory limit";
    TraceParent = 13, "trace-parent", "跟踪父进程", "trace the parent";
    TraceOther = 14, "trace-other", "跟踪另一内室", "trace another run";
    ReadParent = 15, "read-parent", "读取父进程内存", "read the parent's memory";
    ReadOther = 16, "read-other", "读取另一内室的内存", "read another run's memory";
    SignalParent = 17, "signal-parent", "向父进程发信号", "signal the parent";
    SignalOther = 18, "signal-other", "向另一内室发信号", "signal another run";
    WriteElsewhere = 19, "write-elsewhere", "写入标准输出以外的描述符", "write to another descriptor than the frame's";
    CreateMemoryFile = 20, "create-memory-file", "memfd_create", "create a file in memory";
    RaiseLimits = 21, "raise-limits", "提高资源限额", "raise its resource limits";
    SetUser = 22, "set-user", "变更用户身份", "become another user";
    Unshare = 23, "unshare", "新建命名空间", "make a user namespace";
    IoUring = 24, "io-uring", "io_uring", "set up io_uring";
    UserFaultFd = 25, "userfaultfd", "userfaultfd", "handle its own page faults";
    Bpf = 26, "bpf", "bpf", "load a BPF programme";
    PerfEvent = 27, "perf-event", "perf_event_open", "count the processor's events";
    Keys = 28, "keys", "访问内核密钥环", "use the kernel's keys";
    Ioctl = 29, "ioctl", "ioctl", "control a device";
    CallAsX32 = 30, "call-as-x32", "以 x32 方式调用", "call by the x32 table";
    CallAsI386 = 31, "call-as-i386", "以 i386 方式调用", "call by the i386 table";
}

impl Attempt {
    /// From its place on the wire.
    pub(crate) fn from_wire(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|a| *a as u8 == number)
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
