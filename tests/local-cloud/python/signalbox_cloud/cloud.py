"""Puts the parts together: the emulator, the patches, the faults and the control endpoints, as one ASGI application."""

import asyncio
import threading

from ministack import app as emulator

from . import (
    callbacks,
    changesets,
    choices,
    cloudformation,
    context,
    control,
    deploy,
    dynamodb,
    dynamodb_expressions,
    dynamodb_queries,
    dynamodb_usage,
    ecs,
    ecs_iam,
    ecs_processes,
    ecs_stacks,
    ecs_states,
    eventbridge,
    executions,
    function_urls,
    iam,
    interpreter,
    lambda_pool,
    lambda_service,
    lambda_tasks,
    machines,
    middleware,
    nested,
    paths,
    queues,
    reading,
    redrive,
    s3,
    sns,
    stack_deletion,
    stack_operations,
    stack_properties,
    stepfunctions,
)

PARTS = (
    executions,
    interpreter,
    context,
    paths,
    choices,
    nested,
    lambda_tasks,
    callbacks,
    stepfunctions,
    redrive,
    reading,
    machines,
    lambda_service,
    lambda_pool,
    dynamodb,
    dynamodb_expressions,
    dynamodb_queries,
    dynamodb_usage,
    queues,
    sns,
    eventbridge,
    iam,
    ecs,
    ecs_iam,
    ecs_stacks,
    ecs_states,
    function_urls,
    s3,
    deploy,
    cloudformation,
    changesets,
    stack_operations,
    stack_properties,
    stack_deletion,
)


class Application:
    """What the web server serves: `/_local/*` from `control`, everything else through `middleware` to the emulator."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self._emulate = middleware.Middleware(emulator.app)

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            await emulator.app(scope, receive, self._noticing_start(send))
        elif scope["type"] == "http" and scope["path"].startswith("/_local/"):
            await control.handle(scope, receive, send)
        else:
            await self._emulate(scope, receive, send)

    def _noticing_start(self, send):
        async def forward(message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self.started.set()

        return forward

    def after_start(self) -> None:
        """Load what the first deployment needs, so that it does not wait for it."""
        threading.Thread(target=deploy.load_transform, daemon=True, name="load-transform").start()


def assemble(idle_workers: int, schedules: bool) -> Application:
    """Apply every patch and return the application."""
    lambda_pool.max_idle_workers = idle_workers
    eventbridge.schedules = schedules
    for part in PARTS:
        part.apply()
    return Application()


def stop() -> None:
    """End every process the cloud has started."""
    ecs_processes.close()
    lambda_service.spawner.close()
