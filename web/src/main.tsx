import "./page/theme.css";
import { createRoot } from "react-dom/client";
import { App } from "./page/App.tsx";
import { Boundary } from "./page/parts/Boundary.tsx";
import { texts } from "./page/texts/index.ts";
import { applyTheme, chosenTheme } from "./page/theme.ts";

document.documentElement.lang = texts.language;
applyTheme(chosenTheme());

const page = document.getElementById("page");
if (page)
  createRoot(page).render(
    <Boundary>
      <App />
    </Boundary>,
  );
