//! A transfer between two pools of accounts that is done as a whole or not at all.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::sync::Mutex;

use brolly_resource_pool::{Blocking, BlockingManager, Kept, Pool, ResourceScope};
use brolly_sync::block_on;

struct Account {
    balance: i64,
}

/// Opens the accounts of a bank, one after the other.
struct Bank(Mutex<VecDeque<i64>>);

impl BlockingManager for Bank {
    type Resource = Account;
    type Error = NoAccount;

    fn create(&self) -> Result<Account, NoAccount> {
        let mut accounts = self.0.lock().map_err(|_| NoAccount)?;
        let balance = accounts.pop_front().ok_or(NoAccount)?;
        Ok(Account { balance })
    }
}

#[derive(Debug)]
struct NoAccount;

impl fmt::Display for NoAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no such account")
    }
}

impl Error for NoAccount {}

type Accounts = Pool<Blocking<Bank>>;

fn bank(name: &str, balances: &[i64]) -> Result<Accounts, Box<dyn Error>> {
    let bank = Bank(Mutex::new(balances.iter().copied().collect()));
    Ok(Pool::builder(Blocking(bank))
        .name(name)
        .max_size(1)
        .build()?)
}

/// Each step says how it is undone as soon as it is done.
async fn transfer(
    scope: &ResourceScope,
    from: &Accounts,
    to: &Accounts,
    amount: i64,
) -> Result<(), Box<dyn Error>> {
    let mut giver = scope.acquire(from).await?;
    giver.balance -= amount;
    Kept::on_rollback(&mut giver, async move |mut account| {
        account.balance += amount;
        println!(
            "undone: {amount} are back, the balance is {}",
            account.balance
        );
    });
    println!("{} are left to the giver", giver.balance);
    let mut receiver = scope.acquire(to).await?;
    receiver.balance += amount;
    println!("{} are with the receiver", receiver.balance);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let savings = bank("savings", &[100])?;
    let current = bank("current", &[5])?;
    let closed = bank("closed", &[])?;
    block_on(async {
        let scope = ResourceScope::new();
        let good = scope.run(async |scope| transfer(scope, &savings, &current, 30).await);
        good.await.map_err(|failed| failed.error)?;

        let bad = scope.run(async |scope| transfer(scope, &savings, &closed, 30).await);
        match bad.await {
            Ok(()) => Err("nobody is there to receive it")?,
            Err(failed) => println!("{failed}: {}", failed.error),
        }
        assert_eq!(savings.try_acquire()?.balance, 70);
        assert_eq!(current.try_acquire()?.balance, 35);
        Ok(())
    })
}
