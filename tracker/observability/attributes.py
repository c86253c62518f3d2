"""The names of span attributes: OpenTelemetry's for generative AI, and our own.

The conventions are in development and their packaged constants are deprecated, so they are kept
here. They have no names for the phases of a run or for its end: those are ours.
"""

from __future__ import annotations

INVOKE_AGENT = "invoke_agent"

OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
AGENT_ID = "gen_ai.agent.id"
CONVERSATION_ID = "gen_ai.conversation.id"
RESPONSE_ID = "gen_ai.response.id"
REQUEST_MODEL = "gen_ai.request.model"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ_INPUT_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_CREATION_INPUT_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
REASONING_OUTPUT_TOKENS = "gen_ai.usage.reasoning.output_tokens"
ERROR_TYPE = "error.type"

SOURCE = "runfold.source"
RUN_STATUS = "runfold.run.status"
RUN_REASON = "runfold.run.reason"
PHASE_STATUS = "runfold.phase.status"
PHASE_BASIS = "runfold.phase.basis"
PHASE_TOOLS = "runfold.phase.tools"
