//! The ECS relay on the local cloud: the template's policies, the real binaries, containers as processes, and their events
//! on the way over EventBridge and SQS. After each test its tokens are looked for wherever somebody could see them.

mod ends;
mod once;
mod results;
mod starts;
mod watch;
