"""Loads two rows into PostgreSQL, with one connection."""

from airflow.sdk import dag, task


@dag(schedule=None)
def postgres_load():
    @task
    def compat():
        """A DAG of Airflow's, unchanged."""
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        hook = PostgresHook(postgres_conn_id="postgres_default")
        hook.run("CREATE TABLE IF NOT EXISTS loaded (by TEXT)")
        hook.insert_rows("loaded", [("the hook",)], target_fields=["by"])

    @task
    def native():
        """The driver itself, of the same connection; it runs in images without Airflow too."""
        import psycopg2

        from leoflow_runtime import get_connection

        warehouse = get_connection("postgres_default")
        with psycopg2.connect(
            host=warehouse.host, port=warehouse.port, user=warehouse.login, password=warehouse.password, dbname=warehouse.schema
        ) as session, session.cursor() as cursor:
            cursor.execute("INSERT INTO loaded VALUES (%s)", ("the client",))

    compat() >> native()


postgres_load()
