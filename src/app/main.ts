/** The page's entry: which door was opened. Everything behind a door is loaded when it is. */

import './theme.css';
import './page.css';

const doors: Record<string, (root: HTMLElement) => Promise<void>> = {
  '': async (root) => (await import('./volunteer-door.ts')).openVolunteerDoor(root),
  '#/host': async (root) => (await import('./host-door.ts')).openHostDoor(root),
  '#/swarm': async (root) => (await import('./swarm-door.ts')).openSwarmDoor(root),
  '#/device': async (root) => (await import('./device-door.ts')).openDeviceDoor(root),
  '#/chat': async (root) => (await import('./chat-door.ts')).openChatDoor(root),
  '#/submit': async (root) => (await import('./submit-door.ts')).openSubmitDoor(root),
};

const root = document.getElementById('app');
if (root !== null) {
  const open = doors[location.hash] ?? doors[''];
  await open?.(root);
  addEventListener('hashchange', () => location.reload());
}
