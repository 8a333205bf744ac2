//! The calls that a connection and a transaction have in common.

/// Writes them for a type with `inner()`, the driver's, and `session()`.
macro_rules! queries {
    () => {
        /// Prepares a statement for this connection.
        ///
        /// # Errors
        ///
        /// What the server or the connection says.
        ///
        /// # Cancel safety
        ///
        /// Once polled, dropping the future closes the connection when it comes back.
        pub async fn prepare(&self, text: &str) -> Result<Statement, Error> {
            let session = self.session();
            let statement = session.run(None, self.inner().prepare(text)).await?;
            session.prepared(text);
            Ok(statement)
        }

        /// Prepares a statement unless this connection has it already. A connection keeps those
        /// used last, [`statement_limit`](crate::PostgresManagerBuilder::statement_limit) of them.
        ///
        /// # Errors
        ///
        /// What the server or the connection says.
        ///
        /// # Cancel safety
        ///
        /// As [`prepare`](Self::prepare).
        pub async fn prepare_cached(&self, text: &str) -> Result<Statement, Error> {
            if let Some(statement) = self.session().statement(text) {
                return Ok(statement);
            }
            let statement = self.prepare(text).await?;
            self.session().keep_statement(text, &statement);
            Ok(statement)
        }

        /// Runs a statement with `$1`, `$2`, … from `params`; all rows.
        ///
        /// # Errors
        ///
        /// What the server or the connection says, or that a parameter does not fit.
        ///
        /// # Cancel safety
        ///
        /// Once polled, dropping the future closes the connection when it comes back: the server
        /// may still be at work, and the next holder is not to wait for that.
        pub async fn query<T: ?Sized + Sql>(
            &self,
            statement: &T,
            params: &[&(dyn ToSql + Sync)],
        ) -> Result<Vec<Row>, Error> {
            let work = self.inner().query(statement, params);
            self.session().run(statement.text(), work).await
        }

        /// The same for one row.
        ///
        /// # Errors
        ///
        /// As [`query`](Self::query), or that there is no row or more than one. That is told once
        /// all rows have passed by, which costs a round trip: where none is to be expected,
        /// [`query_opt`](Self::query_opt) does without.
        ///
        /// # Cancel safety
        ///
        /// As [`query`](Self::query).
        pub async fn query_one<T: ?Sized + Sql>(
            &self,
            statement: &T,
            params: &[&(dyn ToSql + Sync)],
        ) -> Result<Row, Error> {
            let work = self.inner().query_one(statement, params);
            let rest = self.rest();
            self.session()
                .run_for_one(statement.text(), work, rest)
                .await
        }

        /// The same for at most one row.
        ///
        /// # Errors
        ///
        /// As [`query`](Self::query), or that there is more than one row, told once all have passed
        /// by.
        ///
        /// # Cancel safety
        ///
        /// As [`query`](Self::query).
        pub async fn query_opt<T: ?Sized + Sql>(
            &self,
            statement: &T,
            params: &[&(dyn ToSql + Sync)],
        ) -> Result<Option<Row>, Error> {
            let work = self.inner().query_opt(statement, params);
            let rest = self.rest();
            self.session()
                .run_for_one(statement.text(), work, rest)
                .await
        }

        /// Runs a statement; the rows as they come.
        ///
        /// # Errors
        ///
        /// As [`query`](Self::query).
        ///
        /// # Cancel safety
        ///
        /// As [`query`](Self::query).
        pub async fn query_rows<T: ?Sized + Sql>(
            &self,
            statement: &T,
            params: &[&(dyn ToSql + Sync)],
        ) -> Result<Rows<'_>, Error> {
            let session = self.session();
            let params = params.iter().copied();
            let work = self.inner().query_raw(statement, params);
            let stream = session.run(statement.text(), work).await?;
            // Whoever drops this future between the two drops nothing: there is no await.
            session.begin();
            Ok(Rows::new(stream, session))
        }

        /// Runs a statement; how many rows it changed.
        ///
        /// # Errors
        ///
        /// As [`query`](Self::query).
        ///
        /// # Cancel safety
        ///
        /// As [`query`](Self::query).
        pub async fn execute<T: ?Sized + Sql>(
            &self,
            statement: &T,
            params: &[&(dyn ToSql + Sync)],
        ) -> Result<u64, Error> {
            let work = self.inner().execute(statement, params);
            self.session().run(statement.text(), work).await
        }

        /// Runs statements separated by semicolons, without parameters; rows as text.
        ///
        /// # Errors
        ///
        /// As [`query`](Self::query); later statements are not run.
        ///
        /// # Cancel safety
        ///
        /// As [`query`](Self::query).
        pub async fn simple_query(&self, text: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
            let work = self.inner().simple_query(text);
            self.session().run(Some(text), work).await
        }

        /// Runs statements separated by semicolons, without parameters and without an answer.
        ///
        /// # Errors
        ///
        /// As [`query`](Self::query); later statements are not run.
        ///
        /// # Cancel safety
        ///
        /// As [`query`](Self::query).
        pub async fn batch_execute(&self, text: &str) -> Result<(), Error> {
            let work = self.inner().batch_execute(text);
            self.session().run(Some(text), work).await
        }
    };
}

pub(crate) use queries;
