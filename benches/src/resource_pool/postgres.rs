//! `SELECT 1` on a real PostgreSQL over its unix socket: pools of 4 and 16, 64 tasks, warmed; against
//! clients without a pool, and against the pools of others as they come and without their checks.

mod server;

use std::cell::OnceCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bb8_postgres::PostgresConnectionManager;
use brolly_pool_postgres::{Client, PostgresManager};
use deadpool_postgres::{ManagerConfig, RecyclingMethod};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::runtime::Runtime;
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

use self::server::{Binaries, Server};
use super::CRATE;
use crate::axis::Axis;
use crate::driver::{Contest, Effort, Goal, Measured};
use crate::record::{Better, Record};

const TASKS: usize = 64;
const QUERY: &str = "SELECT 1";
const RAW: &str = "raw clients";
const DEADPOOL: &str = "deadpool-postgres";
const UNFAIR: &str = "does not serve in order";

/// One `SELECT 1`, with a client from somewhere.
trait Select: Clone + Send + Sync + 'static {
    /// Fails if the answer is not 1.
    fn select(&self, task: usize) -> impl Future<Output = Result<(), String>> + Send;
}

fn is_one(answer: &[SimpleQueryMessage]) -> Result<(), String> {
    let is_one = answer
        .iter()
        .any(|it| matches!(it, SimpleQueryMessage::Row(row) if row.get(0) == Some("1")));
    is_one.then_some(()).ok_or_else(|| String::from("not 1"))
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// A client for each task: what the wire and the server allow.
#[derive(Clone)]
struct Raw(Arc<Vec<tokio_postgres::Client>>);

impl Raw {
    async fn new(config: &Config, count: usize) -> Result<Self, String> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            let (client, connection) = config.connect(NoTls).await.map_err(text)?;
            tokio::spawn(connection);
            clients.push(client);
        }
        Ok(Self(Arc::new(clients)))
    }
}

impl Select for Raw {
    async fn select(&self, task: usize) -> Result<(), String> {
        is_one(&self.0[task].simple_query(QUERY).await.map_err(text)?)
    }
}

#[derive(Clone)]
struct Ours(brolly_resource_pool::Pool<PostgresManager>);

impl Ours {
    async fn new(config: &Config, size: usize) -> Result<Self, String> {
        let manager = PostgresManager::builder(config.clone()).build();
        let builder = manager.map_err(text)?.pool().min_size(size).max_size(size);
        let pool = builder.build().map_err(text)?;
        pool.warm_up().await.map_err(text)?;
        Ok(Self(pool))
    }
}

impl Select for Ours {
    async fn select(&self, _: usize) -> Result<(), String> {
        let client = self.0.acquire().await.map_err(text)?;
        let client: &Client = &client;
        is_one(&client.simple_query(QUERY).await.map_err(text)?)
    }
}

#[derive(Clone)]
struct Deadpool(deadpool_postgres::Pool);

impl Deadpool {
    fn new(config: &Config, size: usize) -> Result<Self, String> {
        let settings = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = deadpool_postgres::Manager::from_config(config.clone(), NoTls, settings);
        let pool = deadpool_postgres::Pool::builder(manager).max_size(size);
        pool.build().map(Self).map_err(text)
    }
}

impl Select for Deadpool {
    async fn select(&self, _: usize) -> Result<(), String> {
        let client = self.0.get().await.map_err(text)?;
        is_one(&client.simple_query(QUERY).await.map_err(text)?)
    }
}

#[derive(Clone)]
struct Bb8(bb8::Pool<PostgresConnectionManager<NoTls>>);

impl Bb8 {
    async fn new(config: &Config, size: usize) -> Result<Self, String> {
        let size = u32::try_from(size).map_err(text)?;
        let manager = PostgresConnectionManager::new(config.clone(), NoTls);
        let pool = bb8::Pool::builder().max_size(size).min_idle(size);
        pool.build(manager).await.map(Self).map_err(text)
    }
}

impl Select for Bb8 {
    async fn select(&self, _: usize) -> Result<(), String> {
        let client = self.0.get().await.map_err(text)?;
        is_one(&client.simple_query(QUERY).await.map_err(text)?)
    }
}

#[derive(Clone)]
struct Sqlx(sqlx::PgPool);

impl Sqlx {
    async fn new(server: &Server, size: usize, tests: bool) -> Result<Self, String> {
        let size = u32::try_from(size).map_err(text)?;
        let options = PgConnectOptions::new_without_pgpass()
            .host(&server.socket_folder().to_string_lossy())
            .port(server::PORT)
            .username(server::USER)
            .database("postgres");
        let pool = PgPoolOptions::new().min_connections(size);
        let pool = pool.max_connections(size).test_before_acquire(tests);
        pool.connect_with(options).await.map(Self).map_err(text)
    }
}

impl Select for Sqlx {
    async fn select(&self, _: usize) -> Result<(), String> {
        let mut client = self.0.acquire().await.map_err(text)?;
        // A text and no parameters: the same protocol as the others.
        let query = sqlx::raw_sql(QUERY).fetch_all(&mut *client);
        let rows = query.await.map_err(text)?;
        (rows.len() == 1).then_some(()).ok_or_else(|| text("not 1"))
    }
}

/// Thousands of queries a second by so many tasks.
fn serve<S: Select>(runtime: &Runtime, source: &S, tasks: usize, effort: Effort) -> Measured {
    let window = effort.pick(Duration::from_millis(150), Duration::from_millis(500));
    let stop = Arc::new(AtomicBool::new(false));
    runtime.block_on(async {
        let start = Instant::now();
        let tasks: Vec<_> = (0..tasks)
            .map(|task| {
                let (source, stop) = (source.clone(), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut served = 0_u64;
                    while !stop.load(Relaxed) {
                        source.select(task).await?;
                        served += 1;
                    }
                    Ok::<_, String>(served)
                })
            })
            .collect();
        tokio::time::sleep(window).await;
        stop.store(true, Relaxed);
        let mut served = 0;
        for task in tasks {
            served += task.await.map_err(text)??;
        }
        Ok(served as f64 / 1e3 / start.elapsed().as_secs_f64())
    })
}

/// Whom ours is compared with.
#[derive(Clone, Copy)]
enum Against {
    Raw,
    Pools,
    Defaults,
}

fn run(
    server: &Server,
    name: &str,
    size: usize,
    against: Against,
    effort: Effort,
) -> Result<Record, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(text)?;
    let runtime = &runtime;
    let mut config = Config::new();
    config.host_path(server.socket_folder()).port(server::PORT);
    config.user(server::USER).dbname("postgres");

    let pool = runtime.block_on(Ours::new(&config, size))?;
    let raw = runtime.block_on(Raw::new(&config, size))?;
    let goal = match against {
        Against::Raw => Goal::Peer(RAW, 0.97),
        Against::Pools => Goal::BestPeer(0.97),
        Against::Defaults => Goal::BestPeer(1.4),
    };
    let contest = Contest::new(CRATE, name, "k/s", Better::Higher, goal)
        .ours(|| serve(runtime, &pool, TASKS, effort));
    let rounds = effort.pick(11, 25);
    match against {
        Against::Raw => contest
            .peer(RAW, || serve(runtime, &raw, size, effort))
            .run(effort, rounds),
        Against::Pools => {
            let deadpool = Deadpool::new(&config, size)?;
            let sqlx = runtime.block_on(Sqlx::new(server, size, false))?;
            contest
                .peer(DEADPOOL, || serve(runtime, &deadpool, TASKS, effort))
                .peer("sqlx, no test", || serve(runtime, &sqlx, TASKS, effort))
                .unable("bb8-postgres, no test", UNFAIR)
                .floor(RAW, || serve(runtime, &raw, size, effort))
                .run(effort, rounds)
        }
        Against::Defaults => {
            let bb8 = runtime.block_on(Bb8::new(&config, size))?;
            let sqlx = runtime.block_on(Sqlx::new(server, size, true))?;
            contest
                .peer("bb8-postgres", || serve(runtime, &bb8, TASKS, effort))
                .peer("sqlx", || serve(runtime, &sqlx, TASKS, effort))
                .floor(RAW, || serve(runtime, &raw, size, effort))
                .run(effort, rounds)
        }
    }
}

pub(super) fn axes() -> Vec<Axis> {
    let Some(binaries) = Binaries::find() else {
        eprintln!("{CRATE}: no postgres, its axes are left out; Debian package postgresql");
        return Vec::new();
    };
    let binaries = Rc::new(binaries);
    // Started by the first axis that is run.
    let server: Rc<OnceCell<Result<Server, String>>> = Rc::default();
    let mut axes = Vec::new();
    for size in [4, 16] {
        for (kind, against) in [
            ("raw", Against::Raw),
            ("pools", Against::Pools),
            ("defaults", Against::Defaults),
        ] {
            let name = format!("select1_p{size}_{kind}");
            let (server, binaries) = (Rc::clone(&server), Rc::clone(&binaries));
            axes.push(Axis::new(name.clone(), move |effort| {
                let server = server.get_or_init(|| Server::start(&binaries));
                run(server.as_ref()?, &name, size, against, effort)
            }));
        }
    }
    axes
}
