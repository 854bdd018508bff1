"""Delivers the connections of the tests into a volume, as the driver would."""
import os

from leoflow_runtime.testing import FakeVolume

PASSWORD = "n33dle@:/p"
AZURITE_KEY = os.environ["AZURITE_KEY"]


def address(name):
    return os.environ[name]


def port(name):
    return int(address(name).rsplit(":", 1)[1])


def private_key():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def deliver(directory):
    volume = FakeVolume(os.path.join(directory, "volume"))
    os.environ["LEOFLOW_DIR"] = volume.directory
    key = {"type": "service_account", "project_id": "of-the-key", "private_key_id": "1", "private_key": private_key(), "client_email": "etl@example.com",
           "token_uri": f"http://{address('GCS')}/token"}
    google = {"keyfile_dict": key, "project": "of-the-connection"}
    google.update({"extra__google_cloud_platform__" + name: value for name, value in google.items()})
    volume.connection("google_cloud_default", {"conn_type": "google_cloud_platform", "extra": google})
    moto = f"http://{address('MOTO')}"
    volume.connection("aws_default", {"conn_type": "aws", "login": "AKIAEXAMPLE", "password": PASSWORD, "extra": {
        "region_name": "eu-west-1", "endpoint_url": moto, "service_config": {"sts": {"endpoint_url": moto}}}})
    volume.connection("aws_role", {"conn_type": "aws", "login": "AKIAEXAMPLE", "password": PASSWORD, "extra": {
        "region_name": "eu-west-1", "endpoint_url": moto, "service_config": {"sts": {"endpoint_url": moto}}, "role_arn": "arn:aws:iam::123456789012:role/etl"}})
    volume.connection("wasb_default", {"conn_type": "wasb", "login": "devstoreaccount1", "password": AZURITE_KEY, "host": f"http://{address('AZURITE')}/devstoreaccount1"})
    volume.connection("postgres_default", {"conn_type": "postgres", "host": "127.0.0.1", "port": port("POSTGRES"), "login": "etl", "password": PASSWORD, "schema": "etl"})
    volume.connection("mysql_default", {"conn_type": "mysql", "host": "127.0.0.1", "port": port("MARIADB"), "login": "etl", "password": PASSWORD, "schema": "etl",
                                        "extra": {"client": "mysql-connector-python"}})
    volume.connection("sqlite_default", {"conn_type": "sqlite", "host": os.path.join(directory, "some.db")})
    volume.connection("http_default", {"conn_type": "http", "host": "127.0.0.1", "port": port("GCS"), "login": "etl", "password": PASSWORD})
    volume.connection("redis_default", {"conn_type": "redis", "host": "127.0.0.1", "port": port("REDIS"), "password": PASSWORD, "extra": {"db": 1}})
    volume.refuse("connection", "denied")
    return volume
