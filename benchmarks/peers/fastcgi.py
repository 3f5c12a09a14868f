# SPDX-License-Identifier: Apache-2.0
"""nginx and spawn-fcgi for the peers that are FastCGI programs, and their Debian packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from benchmarks.process import Server, Unavailable

__all__ = ["PACKAGES", "cgi_program", "install_packages", "serve_fastcgi"]

# Debian's packages of the load generator and of the peers that are not Python.
PACKAGES = ("wrk", "nginx-light", "spawn-fcgi", "cgi-mapserver", "qgis-server")
_CGI = Path("/usr/lib/cgi-bin")

_NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log error;
{user}
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp; fastcgi_temp_path {folder}/tmp;
  uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp;
  keepalive_requests 1000000;
  upstream programs {{ server unix:{folder}/fcgi.sock; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      fastcgi_pass programs;
      fastcgi_buffers 64 64k;
      fastcgi_read_timeout 300;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param PATH_INFO $uri;
      fastcgi_param SCRIPT_NAME "{script}";
      fastcgi_param REQUEST_URI $request_uri;
      fastcgi_param SERVER_PROTOCOL $server_protocol;
      fastcgi_param SERVER_NAME 127.0.0.1;
      fastcgi_param SERVER_PORT {port};
      fastcgi_param HTTP_HOST $http_host;
      fastcgi_param HTTP_ACCEPT $http_accept;
    }}
  }}
}}
"""


def install_packages() -> str | None:
    """Installs what is missing with apt when root; the reason in words when it cannot."""
    missing = [p for p in PACKAGES if not _installed(p)]
    if not missing:
        return None
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return f"Debian packages missing and no root to install them: {' '.join(missing)}"
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        subprocess.run(["apt-get", "update"], env=env, capture_output=True, check=False)
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"apt-get install failed: {done.stderr.strip()[-200:]}"


def cgi_program(name: str, package: str) -> str:
    """Path of a FastCGI program; Unavailable when it, nginx or spawn-fcgi is missing."""
    program = _CGI / name
    for path, owner in ((str(program), package), ("nginx", "nginx-light"), ("spawn-fcgi", "spawn-fcgi")):
        if shutil.which(path) is None and shutil.which(path, path="/usr/sbin:/sbin") is None:
            raise Unavailable(f"not installed: Debian package {owner}")
    return str(program)


def serve_fastcgi(server: Server, program: str, env: Mapping[str, str], script: str) -> None:
    """Two processes of a FastCGI program on a socket, nginx before them on the server's port."""
    folder = server.folder
    (folder / "tmp").mkdir(exist_ok=True)
    (folder / "fcgi.sock").unlink(missing_ok=True)
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=server.port, user=user, script=script))
    server.run(["spawn-fcgi", "-n", "-F", "2", "-s", str(folder / "fcgi.sock"), "--", program], env=env)
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin") or "nginx"
    server.run([nginx, "-p", str(folder), "-c", str(config), "-e", str(folder / "nginx-error.log")])


def _installed(package: str) -> bool:
    query = ["dpkg-query", "-W", "-f", "${Status}", package]
    try:
        done = subprocess.run(query, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return False
    return "install ok installed" in done.stdout
