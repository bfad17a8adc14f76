/** The volunteer's page while its tab holds a part of a served model: what lies here, how fast it is, and who is next. */

import { html, nothing, type TemplateResult } from 'lit';
import type { StageView } from '../assembly/stage-desk.ts';
import type { DeviceDescription } from '../protocol/messages.ts';
import { bytesText, countText, plural } from './page-parts.ts';

export const stageCard = (
  stage: StageView | undefined,
  device: DeviceDescription | undefined,
): TemplateResult | typeof nothing =>
  stage === undefined
    ? nothing
    : html`
        <section
          class="card"
          data-stage=${stage.stage}
          data-ready=${stage.bytes !== undefined}
          data-active=${stage.isActive}
          data-rows=${stage.rows}
          data-batches=${stage.batches}
          data-gpu-ms=${stage.gpuMs}
          data-round-trip-ms=${stage.nextRoundTripMs ?? nothing}
        >
          <h3>Part of a model <span class="more">stage ${stage.stage + 1} of ${stage.stages}</span></h3>
          <p>${holdsText(stage, device?.memoryBytesMax)}</p>
          <p class="soft">${worksText(stage)}</p>
        </section>
      `;

/** What of the model lies in this tab. */
export function holdsText(stage: StageView, lent: number | undefined): string {
  const last = stage.firstLayer + stage.layers;
  const layers = stage.layers === 1 ? `Layer ${last}` : `Layers ${stage.firstLayer + 1} to ${last}`;
  if (stage.bytes === undefined) return `${layers}: fetching weights`;
  const free = lent === undefined ? '' : ` of ${bytesText(lent)} lent`;
  return `${layers}: ${bytesText(stage.bytes)} of weights${free}`;
}

/** What it does now, and how fast. */
export function worksText(stage: StageView): string {
  if (stage.bytes === undefined) return 'Answers begin when all parts are ready.';
  if (!stage.isActive) return 'Standing by: takes over at once when the tab that computes this part goes away.';
  const each = stage.rows === 0 ? '' : `, ${(stage.gpuMs / stage.rows).toFixed(1)} ms each`;
  const parts = [`${countText(stage.rows)} ${stage.rows === 1 ? 'row' : 'rows'} so far${each}`];
  if (stage.stages > 1) {
    parts.push(
      `${bytesText(stage.sent)} sent on`,
      stage.nextRoundTripMs === undefined
        ? 'the next part is reached through the hub'
        : `the next part is ${stage.nextRoundTripMs.toFixed(1)} ms away`,
    );
  } else parts.push(plural(stage.tokens, 'token'));
  return parts.join(' · ');
}
