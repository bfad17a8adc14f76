/**
 * Chats as one prompt: the messages of OpenAI's API through the template that a model brings (Jinja, run by
 * `@huggingface/jinja`), or through ChatML where it brings none. Templates and messages are strangers' input: sizes are
 * bounded here, the work of a template in `template-budget`. What becomes of the prompt is left to the tokenizer.
 */

import { parse as parseTemplate, tokenize } from '@huggingface/jinja';
import { ok, problem, type Result } from '../core/result.ts';
import { parse, v } from '../core/schema.ts';
import { renderWithin, textMax } from './template-budget.ts';

export interface ChatTemplate {
  /** The template's own text, undefined where the model brings none. */
  readonly text: string | undefined;
  /** What the template knows as `bos_token` and `eos_token`; empty where the model has none. */
  readonly startText: string;
  readonly endText: string;
}

/** What models without a template get. Many are trained with it, and others take it better than bare text. */
export const defaultTemplateName = 'ChatML (default)';
const defaultTemplate =
  '{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}' +
  '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}';

/** Characters of a template: the longest in use, with tools, have some twenty thousand. */
const templateMax = 64 * 1024;
/** Messages of a chat: far above what a context holds. */
const messagesMax = 4096;

const textPart = v.strictObject({ type: v.literal('text'), text: v.string() });
/** Characters of all messages: half of what a template may make of them. */
const charactersMax = textMax / 2;

const messageSchema = v.strictObject({
  role: v.picklist(['system', 'developer', 'user', 'assistant']),
  content: v.union([v.string(), v.pipe(v.array(textPart), v.minLength(1))]),
  name: v.optional(v.string()),
});
const messagesSchema = v.pipe(v.array(messageSchema), v.minLength(1), v.maxLength(messagesMax));

export interface RenderOptions {
  /** The prompt ends where the assistant's answer begins; true where not said. */
  readonly addGenerationPrompt?: boolean;
  /** Switches that a template knows by name, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, string | number | boolean>>;
}

export interface RenderedChat {
  /** Holds the start token's text where the template writes it: encode with `addSpecial: false`. */
  readonly prompt: string;
  /** Whose template it was. */
  readonly templateName: string;
}

/** The prompt of a chat, or one line on what is wrong with the messages or the template. */
export function renderChat(
  template: ChatTemplate,
  messages: unknown,
  { addGenerationPrompt = true, variables = {} }: RenderOptions = {},
): Result<RenderedChat> {
  const refusal = refuseUnsupported(messages);
  if (refusal !== undefined) return problem('chat', refusal);
  const parsed = parse(messagesSchema, messages, 'messages');
  if (!parsed.ok) return parsed;
  const chat = parsed.value.map(({ role, content, name }) => ({
    role: role === 'developer' ? 'system' : role,
    content: typeof content === 'string' ? content : content.map(({ text }) => text).join(''),
    ...(name === undefined ? {} : { name }),
  }));
  const length = chat.reduce((sum, { content }) => sum + content.length, 0);
  if (length > charactersMax)
    return problem('chat', `messages: ${length} characters together, at most ${charactersMax} are taken; shorten them`);
  const text = template.text ?? defaultTemplate;
  if (text.length > templateMax)
    return problem('template', `chat template: ${text.length} characters, at most ${templateMax} are taken`);
  const values = {
    ...variables,
    messages: chat,
    add_generation_prompt: addGenerationPrompt,
    bos_token: template.startText,
    eos_token: template.endText,
  };
  try {
    const program = parseTemplate(tokenize(text, { lstrip_blocks: true, trim_blocks: true }));
    const prompt = renderWithin(program, values);
    return ok({ prompt, templateName: template.text === undefined ? defaultTemplateName : "the model's own" });
  } catch (error) {
    return problem('template', `chat template: ${lineOf(error)}`);
  }
}

/** What OpenAI's API has and this does not, each with its reason; everything else is the schema's business. */
function refuseUnsupported(messages: unknown): string | undefined {
  if (!Array.isArray(messages)) return 'messages: expected a list of messages';
  for (const [index, message] of messages.entries()) {
    const where = `messages.${index}`;
    if (typeof message !== 'object' || message === null) return `${where}: expected an object with role and content`;
    const { role, content } = message as Record<string, unknown>;
    if (role === 'tool' || role === 'function' || 'tool_calls' in message || 'function_call' in message)
      return `${where}: tools are not supported; send what they returned as text of a user`;
    const parts: unknown[] = Array.isArray(content) ? content : [];
    const other = parts.find(
      (part) => typeof part === 'object' && part !== null && 'type' in part && part.type !== 'text',
    );
    if (other !== undefined)
      return `${where}: content of type ${JSON.stringify(Reflect.get(Object(other), 'type'))} is not supported; only text is`;
  }
  return undefined;
}

/** What a template says when it refuses is for whoever wrote the messages; a deep recursion says nothing of use. */
function lineOf(error: unknown): string {
  const text =
    error instanceof RangeError
      ? 'needs too much memory or depth'
      : error instanceof Error
        ? error.message
        : String(error);
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, 300);
}
