"""What Airflow's plugin manager loads."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import AirflowPlugin

#: Below this path of the API server, and of the stand-alone receiver.
URL_PREFIX = "/sms/push"


class SmsPlugin(AirflowPlugin):
    """Mounts the receiver of pushes in the API server, if ``[sms] push_connections`` names any connection."""

    name = "sms"

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """Give the apps to mount; made when asked for, since workers load plugins and serve nothing."""
        from airflow_provider_sms.plugin.settings import read_settings

        settings = read_settings()
        if not settings.connections:
            return []
        from airflow_provider_sms.plugin.app import make_app

        return [{"app": make_app(settings), "url_prefix": URL_PREFIX, "name": "SMS push receiver"}]
