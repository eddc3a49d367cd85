import { Component, type ReactNode, Suspense, useSyncExternalStore } from "react";
import { texts } from "../texts/index.ts";
import { Button } from "./buttons.tsx";
import { Dialog } from "./Dialog.tsx";

interface Props {
  /** What is inside is not wanted any more. */
  onClose: () => void;
  children: ReactNode;
}

/** Around a part of the page that is fetched when it is asked for. Where that fails, a dialog says so in its place. */
export class Fetched extends Component<Props, { isBroken: boolean }> {
  override state = { isBroken: false };

  static getDerivedStateFromError() {
    return { isBroken: true };
  }

  private readonly close = () => {
    this.setState({ isBroken: false });
    this.props.onClose();
  };

  override render() {
    if (this.state.isBroken) return <NotFetched onClose={this.close} />;
    return <Suspense>{this.props.children}</Suspense>;
  }
}

/** A browser does not fetch again what failed once, and after a deployment it is not there any more: only a new page has it. */
function NotFetched({ onClose }: { onClose: () => void }) {
  const isOnline = useSyncExternalStore(watchNetwork, () => navigator.onLine);
  const words = texts.problem;
  return (
    <Dialog narrow title={words.notFetched} onClose={onClose}>
      <div className="grid gap-5 px-6 pt-2 pb-6">
        <p role="status">{isOnline ? words.isOutdated : words.isOffline}</p>
        <Button
          look="primary"
          className="justify-self-end"
          disabled={!isOnline}
          onClick={() => location.reload()}
        >
          {words.reload}
        </Button>
      </div>
    </Dialog>
  );
}

function watchNetwork(listener: () => void): () => void {
  addEventListener("online", listener);
  addEventListener("offline", listener);
  return () => {
    removeEventListener("online", listener);
    removeEventListener("offline", listener);
  };
}
