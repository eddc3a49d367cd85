import { Component, type ReactNode } from "react";
import { Welcome } from "../signin/SignIn.tsx";
import { texts } from "../texts/index.ts";
import { Button } from "./buttons.tsx";

/** A page that broke says so, and can be loaded again: what was written is kept. */
export class Boundary extends Component<{ children: ReactNode }, { isBroken: boolean }> {
  override state = { isBroken: false };

  static getDerivedStateFromError() {
    return { isBroken: true };
  }

  override render() {
    if (!this.state.isBroken) return this.props.children;
    return (
      <Welcome title={texts.problem.title}>
        <Button look="primary" onClick={() => location.reload()}>
          {texts.problem.reload}
        </Button>
      </Welcome>
    );
  }
}
