//! The names of the wire: what a client asked for, which dialect it speaks, and what an upstream speaks.

/// The family of wire formats that a client speaks; decides the shape of errors and headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's API, by far the most imitated.
    OpenAi,
    /// Anthropic's API.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
    /// Cohere's API.
    Cohere,
}

/// A client endpoint that carries a model request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`
    ChatCompletions,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `POST /v1/responses`
    Responses,
    /// `POST /v1/messages` and `POST /anthropic/v1/messages`
    Messages,
    /// `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`
    GenerateContent,
    /// `POST /v1/images/generations`
    ImageGenerations,
    /// `POST /v1/responses/input_tokens`
    InputTokens,
    /// `POST /v1/messages/count_tokens` and below `/anthropic`
    CountTokens,
    /// `POST /tokenize`, as vLLM has it
    Tokenize,
    /// `POST /cohere/v2/rerank`
    Rerank,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Self; 11] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Messages,
        Self::GenerateContent,
        Self::ImageGenerations,
        Self::InputTokens,
        Self::CountTokens,
        Self::Tokenize,
        Self::Rerank,
    ];

    /// The path below the version prefix, the same with clients and with providers of that dialect.
    pub const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/chat/completions",
            Self::Completions => "/completions",
            Self::Embeddings => "/embeddings",
            Self::Responses => "/responses",
            Self::Messages => "/messages",
            // What follows the model, which stands in the path.
            Self::GenerateContent => ":generateContent",
            Self::ImageGenerations => "/images/generations",
            Self::InputTokens => "/responses/input_tokens",
            Self::CountTokens => "/messages/count_tokens",
            Self::Tokenize => "/tokenize",
            Self::Rerank => "/rerank",
        }
    }

    /// The dialect in which this endpoint's answers and errors are written.
    pub const fn dialect(self) -> Dialect {
        match self {
            Self::ChatCompletions
            | Self::Completions
            | Self::Embeddings
            | Self::Responses
            | Self::ImageGenerations
            | Self::InputTokens
            | Self::Tokenize => Dialect::OpenAi,
            Self::Messages | Self::CountTokens => Dialect::Anthropic,
            Self::GenerateContent => Dialect::Gemini,
            Self::Rerank => Dialect::Cohere,
        }
    }

    /// OpenTelemetry's `gen_ai.operation.name`, with Envoy AI Gateway's values.
    pub const fn operation(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat",
            Self::Completions => "completion",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::GenerateContent => "generate_content",
            Self::ImageGenerations => "image_generation",
            Self::InputTokens => "responses_input_tokens",
            Self::CountTokens => "count_tokens",
            Self::Tokenize => "tokenize",
            Self::Rerank => "rerank",
        }
    }

    /// Whether the model writes an answer, of which more is more. An image is of one size, and to count costs nothing.
    pub const fn has_output(self) -> bool {
        match self {
            Self::ChatCompletions
            | Self::Completions
            | Self::Responses
            | Self::Messages
            | Self::GenerateContent => true,
            Self::Embeddings
            | Self::ImageGenerations
            | Self::InputTokens
            | Self::CountTokens
            | Self::Tokenize
            | Self::Rerank => false,
        }
    }

    /// Whether tokens are only counted: nothing is spent.
    pub const fn only_counts(self) -> bool {
        matches!(self, Self::InputTokens | Self::CountTokens | Self::Tokenize)
    }
}

/// What an upstream speaks: `AIServiceBackend.spec.schema.name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Schema {
    /// OpenAI and everything that imitates it.
    OpenAi,
    /// Azure's OpenAI service: deployments in the path, `api-version` in the query.
    AzureOpenAi,
    /// Anthropic's own API.
    Anthropic,
    /// Gemini at Google's Vertex AI.
    GcpVertexAi,
    /// Anthropic's models at Google's Vertex AI.
    GcpAnthropic,
    /// Amazon Bedrock's Converse, the same for all of its models.
    AwsBedrock,
    /// Anthropic's models at Amazon Bedrock, in Anthropic's own words.
    AwsAnthropic,
    /// OpenAI's API as Amazon Bedrock has it.
    AwsOpenAi,
    /// Cohere's own API.
    Cohere,
}

impl Schema {
    /// Every schema.
    pub const ALL: [Self; 9] = [
        Self::OpenAi,
        Self::AzureOpenAi,
        Self::Anthropic,
        Self::GcpVertexAi,
        Self::GcpAnthropic,
        Self::AwsBedrock,
        Self::AwsAnthropic,
        Self::AwsOpenAi,
        Self::Cohere,
    ];

    /// As the resource spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "OpenAI",
            Self::AzureOpenAi => "AzureOpenAI",
            Self::Anthropic => "Anthropic",
            Self::GcpVertexAi => "GCPVertexAI",
            Self::GcpAnthropic => "GCPAnthropic",
            Self::AwsBedrock => "AWSBedrock",
            Self::AwsAnthropic => "AWSAnthropic",
            Self::AwsOpenAi => "AWSOpenAI",
            Self::Cohere => "Cohere",
        }
    }
}
