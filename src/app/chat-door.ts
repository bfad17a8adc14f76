/**
 * `#/chat`: asks the hub which models it serves, and talks to one of them over the link that every submitter has. Text becomes
 * tokens in this tab; the tokenizer and the code for it are fetched with the first model that is chosen.
 */

import { render } from 'lit';
import { AskRefusedError, type ServedModel } from '../assembly/answering.ts';
import type { TextEvent } from '../assembly/text-answer.ts';
import { expectInput } from '../core/result.ts';
import type { ModelText } from '../models/tokenizers/form.ts';
import { connect, type Swarm } from '../sdk/index.ts';
import { chatPage, type AnswerFacts, type ChatActions, type ChatState, type Said } from './chat-page.ts';
import { hubOfPage } from './hub-of-page.ts';

/** How often the list of models is asked for. */
const listMs = 3_000;

/** The code for text, which most visitors of the site never need. */
const loadText = () => import('../assembly/text-answer.ts');

export async function openChatDoor(root: HTMLElement): Promise<void> {
  const hub = hubOfPage(location);
  const texts = new Map<string, Promise<ModelText>>();
  let swarm: Swarm | undefined;
  let asking: AbortController | undefined;
  let frame = 0;
  let state: ChatState = {
    hub: hub.text,
    link: 'connecting',
    models: [],
    chosen: undefined,
    mode: 'chat',
    hasTemplate: undefined,
    said: [],
    draft: '',
    temperature: 0.7,
    maxTokens: 256,
    busy: false,
    problem: undefined,
  };

  const draw = (): void => {
    frame = 0;
    const log = root.querySelector('.said');
    const isAtEnd = log === null || log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    document.title = `${state.busy ? 'Answering' : 'Chat'} · tabswarm`;
    render(chatPage(state, actions), root);
    const after = root.querySelector('.said');
    if (isAtEnd && after !== null) after.scrollTop = after.scrollHeight;
  };
  /** Tokens come faster than a screen shows them. */
  const show = (change: Partial<ChatState>): void => {
    state = { ...state, ...change };
    if (frame === 0) frame = requestAnimationFrame(draw);
  };

  const openText = (model: ServedModel): Promise<ModelText> => {
    const known = texts.get(model.job);
    if (known !== undefined) return known;
    const text = loadText().then(({ readModelText }) => readModelText(model, (one) => connected().submitter.read(one)));
    texts.set(model.job, text);
    text.catch(() => texts.delete(model.job));
    return text;
  };
  const connected = (): Swarm => {
    if (swarm === undefined) throw new AskRefusedError('failed', 'the hub cannot be reached just now');
    return swarm;
  };

  const choose = (job: string): void => {
    const model = state.models.find((one) => one.job === job);
    if (model === undefined) return;
    show({ chosen: job, hasTemplate: undefined });
    openText(model).then(
      ({ chat }) => {
        if (state.chosen !== job) return;
        const hasTemplate = chat.text !== undefined;
        show({ hasTemplate, mode: state.said.length > 0 ? state.mode : hasTemplate ? 'chat' : 'text' });
      },
      (error: unknown) => show({ problem: lineOf(error) }),
    );
  };

  const send = async (): Promise<void> => {
    const model = state.models.find(({ job }) => job === state.chosen);
    if (model === undefined || state.busy || state.draft.trim() === '') return;
    const written = state.draft;
    const before: readonly Said[] = [...state.said, { role: 'user', content: written }];
    let latest: Said & { readonly told: AnswerFacts } = { role: 'assistant', content: '', told: nothingYet };
    const leaving = new AbortController();
    asking = leaving;
    show({ said: [...before, latest], draft: '', busy: true, problem: undefined });
    try {
      const events = await ask(model, before, leaving.signal);
      await follow(events, (content, told) => {
        latest = { role: 'assistant', content, told };
        show({ said: [...before, latest] });
      });
    } catch (error) {
      const isOurs = leaving.signal.aborted;
      show({ said: [...before, { ...latest, told: { ...latest.told, end: isOurs ? 'stopped' : 'failed' } }] });
      if (!isOurs) show({ problem: lineOf(error), draft: latest.content === '' ? written : '' });
    } finally {
      asking = undefined;
      show({ busy: false });
    }
  };

  const ask = async (model: ServedModel, said: readonly Said[], signal: AbortSignal) => {
    const { answerText } = await loadText();
    const text = await openText(model);
    const { promptTokens, stop } = await promptOf(text, said);
    const room = model.plan.context - promptTokens.length;
    if (room < 1)
      throw new Error(
        `${promptTokens.length} tokens, and the model's context holds ${model.plan.context}: start anew, or write less`,
      );
    const request = {
      promptTokens,
      stop,
      firstSample: 0,
      samples: 1,
      maxTokens: Math.min(room, Math.floor(state.maxTokens)),
      temperature: state.temperature,
      topP: 1,
      topK: 0,
      seed: Math.floor(Math.random() * Number.MAX_SAFE_INTEGER),
      topLogprobs: 0,
    };
    const asked = { job: model.job, tokenizer: text.tokenizer };
    return answerText(connected().submitter.answering, asked, request, signal);
  };

  const promptOf = async (text: ModelText, said: readonly Said[]) => {
    if (state.mode === 'text') {
      const { tokenizer } = text;
      return { promptTokens: tokenizer.encode(said.map(({ content }) => content).join('')), stop: [] };
    }
    const { encodeChat } = await loadText();
    // An answer of which nothing came is no turn.
    const messages = said.filter(({ content }) => content !== '').map(({ role, content }) => ({ role, content }));
    return expectInput(encodeChat(text, messages));
  };

  /** The button that was pressed goes away. */
  const focusDraft = (): void => root.querySelector('textarea')?.focus();
  const actions: ChatActions = {
    choose,
    change: show,
    send: () => void send(),
    stop: () => {
      asking?.abort(new Error('stopped'));
      focusDraft();
    },
    clear: () => {
      show({ said: [], problem: undefined });
      focusDraft();
    },
  };

  draw();
  for (;;) {
    try {
      swarm ??= await connect(hub.address);
      const models = await swarm.submitter.answering.models();
      show({ models, link: 'connected' });
      // A model that went away comes back as another job of the same name.
      if (!state.busy && !models.some(({ job }) => job === state.chosen)) {
        const next = models.find(({ isUp }) => isUp) ?? models[0];
        if (next !== undefined) choose(next.job);
      }
    } catch (error) {
      show({ link: 'offline', problem: lineOf(error) });
    }
    await new Promise((resolve) => setTimeout(resolve, listMs));
  }
}

const nothingYet: AnswerFacts = {
  tokens: 0,
  tokensPerSecond: 0,
  firstTokenMs: undefined,
  end: 'coming',
  by: [],
};

/** Tells the answer so far with each of its events. Its speed counts from its first token, which waits for the prompt. */
async function follow(
  events: AsyncIterable<TextEvent>,
  tell: (content: string, told: AnswerFacts) => void,
): Promise<void> {
  const started = performance.now();
  let content = '';
  let told = nothingYet;
  for await (const event of events) {
    if (event.type === 'text') {
      content += event.text;
      const sinceStart = performance.now() - started;
      const firstTokenMs = told.firstTokenMs ?? sinceStart;
      const tokens = told.tokens + event.tokens.length;
      const seconds = (sinceStart - firstTokenMs) / 1000;
      told = { ...told, tokens, firstTokenMs, tokensPerSecond: seconds > 0 ? (tokens - 1) / seconds : 0 };
    } else {
      told = event.type === 'finished' ? { ...told, end: event.reason } : { ...told, by: event.by };
    }
    tell(content, told);
  }
}

const lineOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
